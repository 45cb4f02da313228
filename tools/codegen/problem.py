"""The one error of this package."""

from __future__ import annotations


class CodegenError(Exception):
    """Code cannot be generated; the message is one sentence for the person at the terminal."""

"""Types of settings: how the text of a variable is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


def _split(value: object) -> object:
    """Comma-separated text becomes a list; blanks around and between the commas do not count."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _unset(value: object) -> object:
    """An empty path means none: it would be the working directory."""
    return None if isinstance(value, str) and not value.strip() else value


COMMAS = BeforeValidator(_split)

Names = Annotated[list[str], NoDecode, COMMAS]
File = Annotated[Path | None, BeforeValidator(_unset)]

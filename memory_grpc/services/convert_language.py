"""The language of a request."""

from __future__ import annotations

from typing import Any

from memory_grpc.domain.language import WANTED, is_tag
from memory_grpc.errors import FieldViolation, InvalidInput


def language(request: Any, place: str = "") -> str | None:
    """Its language tag; None where the request does not say. ``place`` goes before the field in an error. Raises
    InvalidInput for what has not the form of a tag."""
    if not request.HasField("language"):
        return None
    tag: str = request.language
    if not is_tag(tag):
        raise InvalidInput([FieldViolation(f"{place}language", WANTED)])
    return tag

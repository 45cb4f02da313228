"""Types of settings: how the text of a variable is read."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode


def _split(value: object) -> object:
    """Comma-separated text becomes a list; blanks around and between the commas do not count. So does a JSON list."""
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        parsed = json.loads(value)
        if isinstance(parsed, list) and all(isinstance(part, str) for part in parsed):
            return [part.strip() for part in parsed if part.strip()]
    return [part.strip() for part in value.split(",") if part.strip()]


def _stripped(value: object) -> object:
    """Files of secrets end with a newline."""
    return value.strip() if isinstance(value, str) else value


def _unset(value: object) -> object:
    """An empty path means none: it would be the working directory."""
    return None if isinstance(value, str) and not value.strip() else value


COMMAS = BeforeValidator(_split)

Names = Annotated[list[str], NoDecode, COMMAS]
File = Annotated[Path | None, BeforeValidator(_unset)]
Key = Annotated[SecretStr | None, BeforeValidator(_stripped)]

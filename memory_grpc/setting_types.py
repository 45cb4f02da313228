"""Types of settings: how the text of a variable is read, and what is refused whatever the variable.

Of the validators before a type, the last one runs first.
"""

from __future__ import annotations

import json
import stat
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from memory_grpc.addresses import is_host, parsed, unbracketed
from memory_grpc.domain.time_zone import WANTED, is_known

# Anything shorter is a slip. What other machines reach needs longer ones: see operations/keys/open_access.py.
_KEY_CHARACTERS = 4
EMPTY = "empty"


def _parts(text: str) -> list[str]:
    """A JSON list's texts, or what stands between commas; without blanks around each."""
    with suppress(ValueError):
        parsed = json.loads(text)
        if isinstance(parsed, list) and all(isinstance(part, str) for part in parsed):
            return [part.strip() for part in parsed]
    return [part.strip() for part in text.split(",")]


def _split(value: object) -> object:
    """Comma-separated text, or a JSON list, becomes a list; blanks around and between the commas do not count."""
    return [part for part in _parts(value) if part] if isinstance(value, str) else value


def _stripped(value: object) -> object:
    """Files of secrets end with a newline."""
    return value.strip() if isinstance(value, str) else value


def _unset(value: object) -> object:
    """An empty value means none."""
    return None if isinstance(value, str) and not value.strip() else value


def _no_pipe(path: Path | None) -> Path | None:
    """To read a pipe would hold up the start until somebody writes. Whoever reads a file says what else is wrong."""
    with suppress(OSError):
        if path is not None and not (stat.S_ISREG(mode := path.stat().st_mode) or stat.S_ISDIR(mode)):
            raise PydanticCustomError("pipe", "a file is expected, and this is a pipe or a device")
    return path


def _not_empty(value: object) -> object:
    """What is set and empty did not arrive, and never means that its protection is not wanted. A list without entries
    is empty too."""
    if isinstance(value, str) and not any(_parts(value)):
        raise PydanticCustomError(EMPTY, "it is empty: give it a value, or leave the variable out")
    return value


def _none_empty(value: object) -> object:
    """The same of each key in a list."""
    if isinstance(value, str) and not all(_parts(value) or [""]):
        raise PydanticCustomError(EMPTY, "a key is empty: give it a value, or leave the variable out")
    return value


def _not_guessed(keys: list[SecretStr]) -> list[SecretStr]:
    """Short keys are guessed, and what no header carries is nobody's key."""
    for key in keys:
        text = key.get_secret_value()
        if len(text) < _KEY_CHARACTERS:
            raise PydanticCustomError("short", f"each key needs at least {_KEY_CHARACTERS} characters")
        if not (text.isascii() and text.isprintable()):
            raise PydanticCustomError("unfit", "a key contains characters that a header cannot carry")
    return keys


def _host(value: object) -> object:
    """``[::1]`` and ``::1`` are one address."""
    return unbracketed(value) if isinstance(value, str) else value


def _address_or_name(host: str) -> str:
    if not is_host(host):
        raise PydanticCustomError("host", "neither an IP address nor a host name")
    return host


def _address(host: str) -> str:
    if parsed(host) is None:
        raise PydanticCustomError("address", "not an IP address, and Envoy listens on no names")
    return host


def _known_zone(name: str) -> str:
    if not is_known(name):
        raise PydanticCustomError("zone", WANTED)
    return name


COMMAS = BeforeValidator(_split)
# For what the service would be weaker without, and nobody would notice.
NOT_EMPTY = BeforeValidator(_not_empty)

Names = Annotated[list[str], NoDecode, COMMAS]
# Of the validators, the last is the first to be asked.
SomeNames = Annotated[Names, NOT_EMPTY]
# Unset is empty, and only unset is.
Text = Annotated[str, NOT_EMPTY, Field(validate_default=False)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
Host = Annotated[str, AfterValidator(_address_or_name), BeforeValidator(_host), NOT_EMPTY]
EnvoyAddress = Annotated[Host, AfterValidator(_address)]
# A number that may be left to what else decides it.
OwnWeight = Annotated[float | None, BeforeValidator(_unset)]
# An empty path would be the working directory.
Folder = Annotated[Path, NOT_EMPTY]
File = Annotated[Path | None, AfterValidator(_no_pipe), NOT_EMPTY]
Secret = Annotated[SecretStr | None, BeforeValidator(_stripped), NOT_EMPTY]
Keys = Annotated[list[SecretStr], NoDecode, AfterValidator(_not_guessed), COMMAS, BeforeValidator(_none_empty)]

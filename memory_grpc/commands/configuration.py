"""Settings as commands read them, and where a client command finds the service."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_grpc.addresses import bracketed, from_here
from memory_grpc.commands.failure import USAGE, CommandError, complain

if TYPE_CHECKING:
    from pydantic import ValidationError

    from memory_grpc.settings import Settings

# Read by the command line alone, so no setting of the service.
CLIENT_API_KEY = "MEMORY_CLIENT_API_KEY"
# A short word, number or address. Anything else may be a DSN, a URL or a key that is in the wrong variable.
_PLAIN = re.compile(r"[\w.:%\[\]-]{1,40}")


@dataclass(frozen=True, slots=True)
class Target:
    """The service a client command talks to. ``timeout_seconds`` is the deadline of each call."""

    address: str
    timeout_seconds: float
    api_key: str | None = field(default=None, repr=False)
    settings: Settings | None = field(default=None, repr=False)
    """Where the certificates of a TLS connection are; without it the CAs that grpc comes with are believed."""


def load_settings(*, warn: bool = True) -> Settings:
    """Reads the settings; raises CommandError with one sentence that names the variables that are wrong."""
    from pydantic import ValidationError

    from memory_grpc import service_links
    from memory_grpc.settings import Settings, unknown_variables, variables

    misspelt = _look_at_env_file(Settings.model_config.get("env_file"), variables())
    try:
        settings = Settings()  # type: ignore[call-arg]  # every field has a default
    except ValidationError as error:
        raise CommandError(sentence(error)) from None
    unknown = [name for name in unknown_variables() if name != CLIENT_API_KEY] + misspelt
    if warn and unknown:
        complain(f"Warning: no setting reads {', '.join(unknown)}: look for a misspelling.")
    links = service_links.instead_of_settings(variables())
    if warn and links:
        complain(f"Warning: {', '.join(links)}: set by Kubernetes for a service of that name, and not read.")
    return settings


def _look_at_env_file(path: Any, known: set[str]) -> list[str]:
    """Names in ``.env`` that no setting has, each with its line; CommandError where a line cannot be understood."""
    from memory_grpc.env_file import look

    if not isinstance(path, str) or not Path(path).is_file():
        if isinstance(path, str) and Path(path).is_fifo():
            raise CommandError(f"{path} is a pipe, and is to be a file: nobody may ever write into it.")
        return []
    found = look(Path(path))
    if found.faults:
        raise CommandError(f"The configuration is wrong: {'; '.join(found.faults)}.")
    return [
        f"{name} ({path}, line {line})" for name, line in found.names.items() if name not in known | {CLIENT_API_KEY}
    ]


def sentence(error: ValidationError) -> str:
    """What is wrong with the settings, without values that may be secret."""
    from memory_grpc.setting_types import EMPTY
    from memory_grpc.settings import Settings

    faults = []
    for fault in error.errors():
        if not fault["loc"]:  # of several at once; the words name them, and no value
            faults.append(fault["msg"])
            continue
        name = str(fault["loc"][0])
        secret = "Secret" in str(getattr(Settings.model_fields.get(name), "annotation", "Secret"))
        given = str(fault["input"])
        is_shown = not secret and fault["type"] != EMPTY and _PLAIN.fullmatch(given)
        value = f" (it is {given!r})" if is_shown else ""
        faults.append(f"MEMORY_{name.upper()}: {_lower_first(fault['msg'])}{value}")
    return f"The configuration is wrong: {'; '.join(faults)}."


def target(
    address: str | None,
    api_key: str | None,
    timeout_seconds: float,
    *,
    with_deployments_key: bool = True,
    **kwargs: Any,
) -> Target:
    """The service to talk to: what the options say, and the settings for the rest.

    Where no key is given, it is the first of MEMORY_API_KEYS, if any, ``with_deployments_key``: not of what acts for
    others, or sends no key.
    """
    settings = load_settings(**kwargs)
    if not address:
        address = f"{bracketed(from_here(settings.host))}:{settings.grpc_port}"
    if "://" not in address and (settings.tls_ca_file or settings.tls_cert_file):
        address = f"https://{address}"
    key = (api_key or os.environ.get(CLIENT_API_KEY) or "").strip() or None  # files of secrets end with a newline
    if key is None and with_deployments_key and settings.api_keys:
        if api_key is not None or CLIENT_API_KEY in os.environ:
            raise CommandError(f"The API key is empty: give it a value, or leave {CLIENT_API_KEY} out.", USAGE)
        key = settings.api_keys[0].get_secret_value()
    if key is not None and not (key.isascii() and key.isprintable()):
        raise CommandError("The API key contains characters that a header cannot carry.", USAGE)
    return Target(address, timeout_seconds, key, settings)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def rest_url(settings: Settings) -> str:
    """Where this machine reaches Envoy of these settings."""
    scheme = "https" if settings.http_tls_cert_file else "http"
    return f"{scheme}://{bracketed(from_here(settings.http_host))}:{settings.http_port}"

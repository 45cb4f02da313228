"""A service without a key, or with one that can be guessed, is for the machine it runs on, unless somebody says
otherwise in so many words."""

from __future__ import annotations

from memory_grpc.addresses import is_loopback
from memory_grpc.errors import StartupError
from memory_grpc.operations.keys.keyring import Keyring
from memory_grpc.settings import Settings

# A made key has 256 random bits. With fewer characters than this, even random ones are within reach of guessing.
_KEY_CHARACTERS = 16


async def check_open_access(settings: Settings, keyring: Keyring) -> None:
    """Raises StartupError where others than this machine's users could call without a key, or guess one.

    MEMORY_HTTP_HOST counts in the server too: Envoy that listens there leads to it.
    """
    if settings.accept_open_access:
        return
    places = {"MEMORY_HOST": settings.host, "MEMORY_HTTP_HOST": settings.http_host}
    reachable = [f"{name}={host}" for name, host in places.items() if not is_loopback(host)]
    if not reachable:
        return
    if any(len(key.get_secret_value()) < _KEY_CHARACTERS for key in settings.api_keys):
        raise StartupError(
            f"{' and '.join(reachable)} can be reached from other machines, and a key in MEMORY_API_KEYS has fewer "
            f"than {_KEY_CHARACTERS} characters: it can be guessed. Make one with `openssl rand -hex 32`."
        )
    if not (settings.api_keys or settings.believes_tokens) and not await keyring.is_needed():
        raise StartupError(
            f"{' and '.join(reachable)} can be reached from other machines, and there is no key: anyone who connects "
            "can read and write everything. Set MEMORY_API_KEYS, or MEMORY_ACCEPT_OPEN_ACCESS=true to start anyway."
        )

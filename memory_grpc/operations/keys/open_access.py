"""A service without a key is for the machine it runs on, unless somebody says otherwise in so many words."""

from __future__ import annotations

from memory_grpc.addresses import is_loopback
from memory_grpc.errors import StartupError
from memory_grpc.operations.keys.keyring import Keyring
from memory_grpc.settings import Settings


async def check_open_access(settings: Settings, keyring: Keyring) -> None:
    """Raises StartupError where others than this machine's users could call without a key.

    MEMORY_HTTP_HOST counts in the server too: Envoy that listens there leads to it.
    """
    if settings.api_keys or settings.accept_open_access:
        return
    places = {"MEMORY_HOST": settings.host, "MEMORY_HTTP_HOST": settings.http_host}
    reachable = [f"{name}={host}" for name, host in places.items() if not is_loopback(host)]
    if reachable and not await keyring.is_needed():
        raise StartupError(
            f"{' and '.join(reachable)} can be reached from other machines, and there is no key: whoever connects may "
            "read and write everything. Set MEMORY_API_KEYS, or MEMORY_ACCEPT_OPEN_ACCESS=true to serve all the same."
        )

"""Kubernetes' service links: for a Service called memory-grpc every pod has MEMORY_GRPC_PORT=tcp://10.0.0.1:50051.

They bear our names and mean something else, so they are no settings.
"""

from __future__ import annotations

import os
import re

_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
_NAME = re.compile(r"MEMORY(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")


def is_link(name: str, value: object) -> bool:
    """Whether a variable of the environment is such a link."""
    return bool(_NAME.fullmatch(name)) or (
        name.endswith("_PORT") and isinstance(value, str) and bool(_ADDRESS.match(value))
    )


def instead_of_settings(names: set[str]) -> list[str]:
    """Those of some variables that are set to a link, sorted."""
    return sorted(name for name, value in os.environ.items() if name in names and is_link(name, value))

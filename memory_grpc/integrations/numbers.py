"""Numbers as programs expect them: metadata hold doubles, of which Python makes floats."""

from __future__ import annotations

from typing import Any


def whole(value: Any) -> Any:
    """JSON with whole numbers as integers, at any depth; what was put as 2.0 comes back as 2, which is equal."""
    if isinstance(value, dict):
        return {key: whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value

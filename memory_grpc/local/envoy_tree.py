"""envoy.yaml as a tree, in which a place that is written to must be there already."""

from __future__ import annotations

from typing import Any

import yaml

from memory_grpc.errors import StartupError
from memory_grpc.resources import ENVOY_YAML

Node = dict[str, Any]


def load() -> Node:
    """The file. Raises StartupError when it cannot be read."""
    try:
        config = yaml.safe_load(ENVOY_YAML.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartupError(f"{ENVOY_YAML} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise StartupError(f"{ENVOY_YAML} is not valid YAML: {error}".replace("\n", " ")) from None
    if not isinstance(config, dict):
        raise StartupError(f"{ENVOY_YAML} is empty.")
    return config


def named(items: Any, name: str) -> Node:
    """The entry of a list that bears a name. Raises StartupError."""
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and item.get("name") == name:
            return item
    raise gone(f"an entry named {name}")


def at(node: Any, *path: str) -> Any:
    """What stands at the end of a path. Raises StartupError."""
    for key in path:
        if not isinstance(node, dict) or key not in node:
            raise gone(" / ".join(path))
        node = node[key]
    return node


def replace(node: Node, **values: object) -> None:
    """Sets keys that must already be there."""
    for key, value in values.items():
        at(node, key)
        node[key] = value


def gone(what: str) -> StartupError:
    """What to raise for a place that is not there."""
    return StartupError(f"envoy.yaml has no {what}, which the settings are written to: restore it.")

"""Where the files that are not Python live: in a checkout, or packed into an installed wheel."""

from __future__ import annotations

from pathlib import Path

_packed = Path(__file__).parent / "_resources"

ROOT = _packed if _packed.is_dir() else Path(__file__).parents[1]
SQL = ROOT / "sql"
ENVOY_YAML = ROOT / "envoy.yaml"
DESCRIPTORS = ROOT / "gen" / "memory_layer.binpb"
OPENAPI_YAML = ROOT / "gen" / "openapi.yaml"
CONSOLE = Path(__file__).parent / "console"

"""``python -m tools.codegen``. Exit codes: 0 done, 1 gen/ is stale or buf has findings, 2 it failed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from memory_grpc import resources
from tools.codegen import buf, generate
from tools.codegen.problem import CodegenError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; errors go to stderr in one sentence."""
    parser = argparse.ArgumentParser(prog="python -m tools.codegen", description="Writes gen/ from proto/.")
    parser.add_argument(
        "--root", type=Path, default=resources.ROOT, help="checkout with proto/, gen/ and buf.yaml (default: this one)"
    )
    command = parser.add_mutually_exclusive_group()
    command.add_argument("--check", action="store_true", help="compare gen/ with what would be written")
    command.add_argument("--lint", action="store_true", help="lint proto/ by buf.yaml")
    command.add_argument("--breaking", type=Path, metavar="AGAINST.binpb", help="find what breaks an older contract")
    chosen = parser.parse_args(arguments)
    root: Path = chosen.root
    proto, gen, config = root / "proto", root / "gen", root / "buf.yaml"
    try:
        if chosen.check:
            return _check(proto, gen)
        if chosen.lint:
            return _findings(buf.lint(proto, config))
        if chosen.breaking is not None:
            return _findings(buf.breaking(proto, config, chosen.breaking))
        for name in generate.write(proto, gen):
            print(f"gen/{name}")
    except CodegenError as problem:
        print(f"codegen: {problem}", file=sys.stderr)
        return 2
    return 0


def _check(proto: Path, gen: Path) -> int:
    wanted = generate.generated(proto)
    changed = generate.differences(wanted, gen)
    for name in changed:
        state = "stale" if name not in wanted else "differs" if (gen / name).exists() else "missing"
        print(f"gen/{name}: {state}", file=sys.stderr)
    if changed:
        print("codegen: gen/ is not what proto/ gives: run `python -m tools.codegen`.", file=sys.stderr)
    return 1 if changed else 0


def _findings(text: str) -> int:
    print(text, end="")
    return 1 if text else 0


if __name__ == "__main__":
    sys.exit(main())

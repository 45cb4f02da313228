"""``memory-grpc distribute``: the plan, what stands in its way, and each table as it is done."""

from __future__ import annotations

from dataclasses import asdict

from memory_grpc.commands import output
from memory_grpc.commands.failure import FAILED, OK, complain
from memory_grpc.commands.serving import configured, conninfo


def distribute(shards: int, *, dry_run: bool, as_json: bool) -> int:
    """Does it, or says what would be done; returns the exit code."""
    with configured("server") as settings:
        from memory_grpc.store import distribution

        def tell(step: distribution.Step) -> None:
            if not as_json:
                print(f"distributed {step.table}, about {output.counted(step.rows, 'row')}", flush=True)

        dsn = settings.direct_conninfo or conninfo(settings)
        plan = distribution.distribute(dsn, shards=shards, dry_run=dry_run, tell=tell)
    left = [step for step in plan.steps if not step.done]
    nodes = output.counted(plan.nodes, "node")
    if as_json:
        tables = [asdict(step) for step in plan.steps]
        done = not plan.blocked and not (dry_run and left)
        output.write_json({"nodes": plan.nodes, "tables": tables, "blocked": list(plan.blocked), "distributed": done})
    elif plan.blocked:
        for sentence in plan.blocked:
            complain(sentence)
    elif not left:
        print("Every table is distributed already.")
    elif dry_run:
        for step in left:
            print(f"would distribute {step.table}, about {output.counted(step.rows, 'row')}")
        print(f"Over {nodes}, in {output.counted(shards, 'shard')}. Graphs of large tenants would be dropped.")
    else:
        print(f"Done: {output.counted(len(left), 'table')} over {nodes}. Servers may start.")
    return FAILED if plan.blocked else OK

"""`make bench-plan`: what a number of messages takes, in bytes, cores and nodes, and what that costs.

Nothing is measured here. What a call and a message cost is given by arguments, whose defaults are figures of
docs/scaling.md and docs/benchmarks.md with the commands that measure them; prices are the reader's own.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

HOURS_A_MONTH = 730
MILLIONS = (1, 10, 100, 1_000)


@dataclass(frozen=True, slots=True)
class Assumed:
    """What a plan is made of."""

    message_bytes: float
    """With all indexes, on one node."""
    search_server_ms: float
    search_database_ms: float
    ingest_server_ms: float
    ingest_database_ms: float
    """CPU milliseconds of a call, on the side of servers (Envoy, Python, model) and in Postgres."""
    searches_a_second: float
    ingests_a_second: float
    """For each million messages."""
    utilisation: float
    """Share of the cores that is to be at work."""
    free_disk: float
    """Share of each node's disk that is to stay free: for growth, re-embedding and rebuilding indexes."""
    copies: int
    """Of every message: the primary's and its replicas'."""
    cores_a_node: int
    gigabytes_a_node: float
    """Size of its disk."""
    core_hour_price: float
    gigabyte_month_price: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What so many messages take."""

    gigabytes: float
    """Of all copies."""
    disk_gigabytes: float
    """With what stays free."""
    server_cores: int
    database_cores: int
    """Of all database nodes: every copy repeats each write, and searches are done by one of them."""
    primaries: int
    """How many parts the messages are split into: 1, or workers of Citus."""
    nodes: int
    """Of Postgres, replicas included."""
    money_a_month: float

    def money_per_million(self, millions: float) -> float:
        """Money a month for each million messages."""
        return self.money_a_month / millions


def plan(millions: float, assumed: Assumed) -> Plan:
    """What ``millions`` of messages take.

    Database nodes are as many as the bytes or the cores ask for, whichever is more. Whole nodes and cores are paid for;
    the disk by the bytes on it and the share that stays free.
    """
    one_copy = millions * assumed.message_bytes / 1000
    searches, ingests = millions * assumed.searches_a_second, millions * assumed.ingests_a_second
    busy = 1000 * assumed.utilisation
    server = math.ceil((searches * assumed.search_server_ms + ingests * assumed.ingest_server_ms) / busy)
    # Replay of a write is counted as if it were the write.
    at_work = (searches * assumed.search_database_ms / assumed.copies + ingests * assumed.ingest_database_ms) / busy
    disk = one_copy / (1 - assumed.free_disk)
    primaries = max(1, math.ceil(disk / assumed.gigabytes_a_node), math.ceil(at_work / assumed.cores_a_node))
    nodes = primaries * assumed.copies
    # What is smaller than a node gets a smaller one.
    cores = nodes * (assumed.cores_a_node if primaries > 1 else max(1, math.ceil(at_work)))
    paid = disk * assumed.copies
    money = (server + cores) * HOURS_A_MONTH * assumed.core_hour_price + paid * assumed.gigabyte_month_price
    return Plan(one_copy * assumed.copies, paid, server, cores, primaries, nodes, money)


def table(assumed: Assumed) -> str:
    """A line for each number of messages, as Markdown."""
    lines = [
        "| messages | searches/s | ingests/s | GB, all copies | GB of disk | server cores | database cores | parts "
        "| database nodes | money a month | per million messages |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for millions in MILLIONS:
        found = plan(millions, assumed)
        lines.append(
            f"| {millions:,} million | {millions * assumed.searches_a_second:,g} "
            f"| {millions * assumed.ingests_a_second:,g} | {found.gigabytes:,.0f} | {found.disk_gigabytes:,.0f} "
            f"| {found.server_cores:,} "
            f"| {found.database_cores:,} | {found.primaries:,} | {found.nodes:,} | {found.money_a_month:,.0f} "
            f"| {found.money_per_million(millions):,.2f} |"
        )
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given: tuple[tuple[str, float, str], ...] = (
        ("message-bytes", 3962, "of a message with all indexes, on one node (make bench-search)"),
        ("search-server-ms", 17.27, "CPU ms of a search in Envoy, Python and the model (make bench-scale)"),
        ("search-database-ms", 12.90, "CPU ms of a search in Postgres (make bench-scale)"),
        ("ingest-server-ms", 20.53, "CPU ms of an ingest in Envoy, Python and the model (make bench-scale)"),
        ("ingest-database-ms", 1.43, "CPU ms of an ingest in Postgres (make bench-scale)"),
        ("searches-a-second", 2.0, "for each million messages"),
        ("ingests-a-second", 0.5, "for each million messages"),
        ("utilisation", 0.5, "share of the cores that is to be at work"),
        ("free-disk", 0.3, "share of each node's disk that is to stay free"),
        ("gigabytes-a-node", 1000.0, "size of a database node's disk"),
        ("core-hour-price", 0.05, "price of a core with its memory for an hour"),
        ("gigabyte-month-price", 0.1, "price of a gigabyte of disk for a month"),
    )
    for name, value, said in given:
        made.add_argument(f"--{name}", type=float, default=value, help=f"{said}; {value:g} unless given")
    made.add_argument("--copies", type=int, default=2, help="of every message, the primary's included; 2 unless given")
    made.add_argument("--cores-a-node", type=int, default=16, help="of a database node; 16 unless given")
    return made


def main() -> None:
    """The command."""
    print(table(Assumed(**vars(parser().parse_args()))))


if __name__ == "__main__":
    main()

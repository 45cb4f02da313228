"""``memory-grpc serve`` under a clock that is off: ``python -m tests.chaos.off_clock SECONDS``.

Every clock of Python's that tells the time of day is shifted before the service is imported, and goes on ticking.
Monotonic clocks, which tell how long something took, are as they were; so are Postgres' and everybody else's.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import time_machine


def main() -> None:
    """Shifts the clock and serves."""
    moment = datetime.now(UTC) + timedelta(seconds=float(sys.argv.pop(1)))
    time_machine.travel(moment, tick=True).start()
    sys.argv[1:] = ["serve"]
    from memory_grpc.cli import main as serve

    serve()


if __name__ == "__main__":
    main()

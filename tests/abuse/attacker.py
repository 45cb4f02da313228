"""An attacker as a process of its own: ``python -m tests.abuse.attacker ADDRESS PROGRAM …``, its key in ATTACKER_KEY.

Says when it begins, attacks over and over, by several programs at once, until its standard input ends, and then says
how often, and how many seconds of a processor that took it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from tests.abuse.instance import Attacker, keyed
from tests.abuse.programs import PROGRAMS
from tests.chaos.harness import connected


async def run(address: str, programs: list[str], key: str) -> tuple[int, float]:
    """How often it attacked, and its seconds of a processor."""
    async with connected(address) as client:
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        attacker = Attacker(address, keyed(client, key), key)

        async def over_and_over(program: str) -> int:
            attacks = 0
            while not ended.done():
                await PROGRAMS[program](attacker)
                attacks += 1
            return attacks

        print("begins", flush=True)
        started = time.process_time()
        attacks = await asyncio.gather(*map(over_and_over, programs))
        return sum(attacks), time.process_time() - started


if __name__ == "__main__":
    print(*asyncio.run(run(sys.argv[1], sys.argv[2:], os.environ["ATTACKER_KEY"])))

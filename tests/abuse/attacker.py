"""An attacker as a process of its own: ``python -m tests.abuse.attacker PROGRAM ADDRESS``, its key in ATTACKER_KEY.

Says when it begins, attacks over and over until its standard input ends, and then says how often.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.abuse.instance import Attacker, keyed
from tests.abuse.programs import PROGRAMS
from tests.chaos.harness import connected


async def run(program: str, address: str, key: str) -> int:
    """How often it attacked."""
    async with connected(address) as client:
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        attacker = Attacker(address, keyed(client, key))
        attacks = 0
        print("begins", flush=True)
        while not ended.done():
            await PROGRAMS[program](attacker)
            attacks += 1
        return attacks


if __name__ == "__main__":
    print(asyncio.run(run(*sys.argv[1:], os.environ["ATTACKER_KEY"])))

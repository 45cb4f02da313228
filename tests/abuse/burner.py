"""A process that attacks nobody and burns as much of a processor as an attacker did: ``python -m tests.abuse.burner
SHARE``. What a victim loses beside it is the machine's, not the service's."""

from __future__ import annotations

import sys
import threading
import time

_TURN_SECONDS = 0.01


def main() -> None:
    """Burns until its standard input ends."""
    share = min(float(sys.argv[1]), 1.0)
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    print("begins", flush=True)
    started = time.process_time()
    while not ended.is_set():
        enough = time.process_time() + share * _TURN_SECONDS
        while time.process_time() < enough:
            pass
        ended.wait((1 - share) * _TURN_SECONDS)
    print(0, time.process_time() - started)


if __name__ == "__main__":
    main()

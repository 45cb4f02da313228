"""What tenants and keys have lately had of this process: windows, words, seconds of the database, bytes.

Each account is a sum that halves every minute, so that it tells of the last few minutes and of nothing before. There
are so many accounts and no more: of those that were not used for longest all that is kept is one sum together, since
who may name any tenant may name a million of them. For use on the event loop.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextvars import ContextVar
from typing import Literal, get_args

from memory_grpc import access
from memory_grpc.observability import metrics

Kind = Literal["windows", "query_words", "database_seconds", "bytes_in", "bytes_out"]
KINDS: tuple[Kind, ...] = get_args(Kind)

HALF_LIFE_SECONDS = 60.0
MOST_ACCOUNTS = 1024

_payer: ContextVar[Hashable] = ContextVar("payer", default=None)


def enter(payer: Hashable) -> None:
    """The call that runs in this context is of this caller from here on; see ``interceptors/share.py``."""
    _payer.set(payer)


def payer() -> Hashable:
    """Whose work this is; None where it is nobody's call."""
    return _payer.get()


class _Account:
    """Sums of every kind, as they were at a moment."""

    __slots__ = ("at", "sums")

    def __init__(self, at: float) -> None:
        self.at = at
        self.sums = dict.fromkeys(KINDS, 0.0)

    def settle(self, now: float) -> None:
        """Brings the sums to a moment."""
        if now > self.at:
            left = 0.5 ** ((now - self.at) / HALF_LIFE_SECONDS)
            self.sums = {kind: left * amount for kind, amount in self.sums.items()}
            self.at = now


class Ledger:
    """Accounts by name, the ``most`` that were used last, and the rest of them together."""

    def __init__(self, clock: Callable[[], float], most: int = MOST_ACCOUNTS) -> None:
        self._clock = clock
        self._most = most
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._rest = _Account(clock())

    def __len__(self) -> int:
        return len(self._accounts)

    def add(self, name: str, kind: Kind, amount: float) -> None:
        """Charges an account."""
        now = self._clock()
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account(now)
            if len(self._accounts) > self._most:
                self._fold(self._accounts.popitem(last=False)[1], now)
        self._accounts.move_to_end(name)
        account.settle(now)
        account.sums[kind] += amount

    def of(self, name: str) -> Mapping[Kind, float]:
        """What an account stands at; zeros where there is none."""
        return self._settled(self._accounts.get(name))

    def rest(self) -> Mapping[Kind, float]:
        """What those stand at together that have no account of their own any more."""
        return self._settled(self._rest)

    def top(self, kind: Kind, most: int) -> list[tuple[str, float]]:
        """The accounts that stand highest, the highest first; of equal ones by name."""
        sums = [(name, self.of(name)[kind]) for name in self._accounts]
        return sorted((one for one in sums if one[1] > 0), key=lambda one: (-one[1], one[0]))[:most]

    def _settled(self, account: _Account | None) -> Mapping[Kind, float]:
        now = self._clock()
        if account is None:
            account = _Account(now)
        account.settle(now)
        return dict(account.sums)

    def _fold(self, account: _Account, now: float) -> None:
        for one in (account, self._rest):
            one.settle(now)
        for kind, amount in account.sums.items():
            self._rest.sums[kind] += amount


class Accounts:
    """The ledgers of a process, one of tenants and one of keys."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MOST_ACCOUNTS) -> None:
        self.tenants = Ledger(clock, most)
        self.keys = Ledger(clock, most)

    def charge(self, kind: Kind, amount: float, tenant: str) -> None:
        """Charges a tenant, unless it is empty, and the key that the call came with, if any; both under one total."""
        metrics.WORK.labels(kind).inc(amount)
        if tenant:
            self.tenants.add(tenant, kind, amount)
        if (actor := access.actor()) is not None:
            self.keys.add(actor, kind, amount)


ACCOUNTS = Accounts()
"""Of this process, as its metrics are."""

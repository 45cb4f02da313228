"""Whose windows come next: tenants take turns by the work they have had, and so do the calls of a tenant.

Each tenant has an account of the lengths of its windows that were taken, and the least is next (start-time fair
queueing, P. Goyal, H. M. Vin and H. Cheng 1996). So of two tenants with windows waiting each gets half of the model,
whatever they send. A tenant that was away begins where the one now served stands: nothing is saved up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from .calls import EmbeddingCall, Item

# Accounts of tenants with nothing waiting are looked through for those that tell nothing any more when there are more.
_MOST_ACCOUNTS = 1024


class Turns:
    """The calls of one kind that have windows waiting."""

    def __init__(self) -> None:
        self._tenants: dict[str, deque[EmbeddingCall]] = {}
        self._windows: dict[str, int] = {}
        self._accounts: dict[str, float] = {}
        self._now = 0.0  # the account of the tenant served last
        self._last = 0.0  # lengths of the last batch
        self.windows = 0
        """Waiting, of all tenants."""

    @property
    def calls(self) -> list[EmbeddingCall]:
        """All of them."""
        return [call for calls in self._tenants.values() for call in calls]

    def count(self) -> int:
        """How many calls there are."""
        return sum(map(len, self._tenants.values()))

    def of(self, tenant: str) -> int:
        """Windows of a tenant that wait."""
        return self._windows.get(tenant, 0)

    def share(self, tenant: str, limit: int) -> int:
        """Of so many windows that may wait those that a tenant may have: as many as every other that has some."""
        return limit // len({*self._tenants, tenant})

    def add(self, call: EmbeddingCall) -> None:
        """Takes a call in, with all its windows."""
        if call.tenant not in self._tenants:
            self._tenants[call.tenant] = deque()
            self._accounts[call.tenant] = max(self._now, self._accounts.get(call.tenant, 0.0))
        self._tenants[call.tenant].append(call)
        self._count(call.tenant, len(call.windows))

    def drop(self, call: EmbeddingCall) -> None:
        """Takes out a call that has windows waiting."""
        self._tenants[call.tenant].remove(call)
        self._count(call.tenant, -len(call.waiting))
        call.waiting.clear()

    def candidates(self, batch_size: int) -> list[Item]:
        """Windows that may join the next batch, those of the tenant and the call whose turn it is first.

        An even share for each tenant, and of that for each call, the longest that wait; none of a tenant that had much
        of the last batch, since a short message would wait for its long ones to be embedded beside it. No more are
        looked at than could matter, since this runs under the queue's lock.
        """
        tenants = sorted(self._tenants, key=self._accounts.__getitem__)  # stable: who came first is first
        most = self._accounts[tenants[0]] + self._last / 2
        tenants = [tenant for tenant in tenants if self._accounts[tenant] <= most]
        share = -(-batch_size // len(tenants))
        return [item for tenant in tenants[: 4 * batch_size] for item in _longest(self._tenants[tenant], share)]

    def take(self, batch: list[Item]) -> None:
        """Takes out the windows of a batch, whose first item's turn it was: its call goes to the back."""
        front = batch[0].call
        self._now = self._accounts[front.tenant]
        self._last = sum(item.window.length for item in batch)
        taken: dict[EmbeddingCall, set[int]] = {}
        for item in batch:
            taken.setdefault(item.call, set()).add(item.index)
            self._accounts[item.call.tenant] += item.window.length
        for call, gone in taken.items():
            call.waiting = [index for index in call.waiting if index not in gone]
        if front.waiting:
            self._tenants[front.tenant].remove(front)
            self._tenants[front.tenant].append(front)
        for tenant in {call.tenant: None for call in taken}:
            self._tenants[tenant] = deque(call for call in self._tenants[tenant] if call.waiting)
            self._count(tenant, -sum(len(gone) for call, gone in taken.items() if call.tenant == tenant))

    def _count(self, tenant: str, change: int) -> None:
        self.windows += change
        self._windows[tenant] = self._windows.get(tenant, 0) + change
        if not self._tenants[tenant]:
            del self._tenants[tenant], self._windows[tenant]
            if not self._tenants:  # nobody waits for anybody
                self._accounts, self._now, self._last = {}, 0.0, 0.0
            elif len(self._accounts) > _MOST_ACCOUNTS + len(self._tenants):
                known = self._accounts.items()
                self._accounts = {of: had for of, had in known if had > self._now or of in self._tenants}


def _longest(calls: deque[EmbeddingCall], share: int) -> Iterator[Item]:
    """An even share of windows of each call of a tenant."""
    each = -(-share // len(calls))
    for call in islice(calls, 4 * share):
        for index in islice(reversed(call.waiting), each):
            yield Item(call, index)

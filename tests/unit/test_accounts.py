"""What tenants and keys have had lately: sums that halve, so many of them and no more."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from memory_grpc import access
from memory_grpc.access import Grant, Role
from memory_grpc.accounts import HALF_LIFE_SECONDS, KINDS, Accounts, Ledger


class Moment:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_sum_halves_with_every_half_life() -> None:
    clock = Moment()
    ledger = Ledger(clock)
    ledger.add("acme", "windows", 8)
    clock.now += HALF_LIFE_SECONDS
    ledger.add("acme", "windows", 1)
    assert ledger.of("acme")["windows"] == pytest.approx(5)
    clock.now += 2 * HALF_LIFE_SECONDS
    assert ledger.of("acme")["windows"] == pytest.approx(1.25)
    assert ledger.of("acme")["bytes_in"] == 0
    assert ledger.of("nobody") == dict.fromkeys(KINDS, 0.0)


def test_a_million_names_are_so_many_accounts_and_a_rest_that_adds_up() -> None:
    ledger = Ledger(Moment(), most=10)
    for number in range(1000):
        ledger.add(f"tenant {number}", "bytes_in", 3)
        ledger.add("acme", "bytes_in", 1)  # in use all the time, and so never folded
    assert len(ledger) == 10
    assert ledger.of("acme")["bytes_in"] == 1000
    assert ledger.of("tenant 0")["bytes_in"] == 0
    assert ledger.rest()["bytes_in"] == 3 * (1000 - 9)


def test_the_top_is_by_what_is_left_now() -> None:
    clock = Moment()
    ledger = Ledger(clock)
    ledger.add("early", "database_seconds", 10)
    clock.now += 4 * HALF_LIFE_SECONDS
    for name, seconds in (("b", 2.0), ("a", 2.0), ("late", 5.0)):
        ledger.add(name, "database_seconds", seconds)
    ledger.add("other", "windows", 100)
    assert [name for name, _ in ledger.top("database_seconds", 3)] == ["late", "a", "b"]


def test_work_is_charged_to_the_tenant_and_to_the_key_of_the_call() -> None:
    accounts = Accounts(Moment())

    def call() -> None:
        access.enter(Grant(Role.READER, None, actor="key:0123456789ab"))
        accounts.charge("query_words", 7, "acme")
        accounts.charge("bytes_out", 9, "")

    contextvars.copy_context().run(call)
    accounts.charge("query_words", 2, "acme")  # a job's: no key
    assert accounts.tenants.of("acme")["query_words"] == 9
    assert len(accounts.tenants) == 1
    key = accounts.keys.of("key:0123456789ab")
    assert (key["query_words"], key["bytes_out"]) == (7, 9)


def test_calls_have_payers_of_their_own() -> None:
    from memory_grpc import accounts

    async def call(payer: str) -> object:
        accounts.enter(payer)
        await asyncio.sleep(0)
        return accounts.payer()

    async def both() -> list[object]:
        return await asyncio.gather(call("a"), call("b"))

    assert asyncio.run(both()) == ["a", "b"]
    assert accounts.payer() is None

"""What opens a transaction: whom it works for, how long it may take, how its statements are planned."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, Literal, LiteralString

from psycopg import sql

Plan = Literal["auto", "once", "each"]

# No transaction waits for anything but its own statements. One that does belongs to a server that was stopped or cut
# off: the locks it holds (of the sweep's lease above all) must not outlast it.
IDLE_TRANSACTION_SECONDS = 10.0

# SET LOCAL and not set_config(): Citus hands only the former on to the nodes that hold the rows.
_BEGIN: LiteralString = (
    "begin; set local statement_timeout = {timeout}; set local idle_in_transaction_session_timeout = {idle}; set local "
)
_ONE: LiteralString = "role memory_layer_tenant; set local memory.tenant_id = {tenant}"
_EVERY: LiteralString = "role memory_layer_worker"
_AT_ONE_MOMENT: LiteralString = "; set transaction isolation level repeatable read"
_AT_ANY_MOMENT: LiteralString = "; set transaction isolation level read committed"
_PLANS: Final[Mapping[str, LiteralString]] = {
    "auto": "",
    "once": "; set local plan_cache_mode = force_generic_plan",
    "each": "; set local plan_cache_mode = force_custom_plan",
}


class Scope(Enum):
    """Whose rows a transaction sees, where that is no single tenant."""

    EVERY_TENANT = "every tenant"


EVERY_TENANT: Final = Scope.EVERY_TENANT
Tenant = str | Literal[Scope.EVERY_TENANT]


def opening(
    tenant: Tenant, timeout_ms: int, plan: Plan, *, at_one_moment: bool = False, then: LiteralString = ""
) -> sql.Composed:
    """The statements as one text. ``then`` is what each transaction begins with where no session keeps it."""
    tail = _PLANS[plan]
    if at_one_moment:
        tail += _AT_ONE_MOMENT
    elif then:  # a session would have it by default
        tail += _AT_ANY_MOMENT
    if then:
        tail += "; " + then
    bounds = {"timeout": sql.Literal(timeout_ms), "idle": sql.Literal(int(IDLE_TRANSACTION_SECONDS * 1000))}
    if isinstance(tenant, str):
        return sql.SQL(_BEGIN + _ONE + tail).format(**bounds, tenant=sql.Literal(tenant))
    return sql.SQL(_BEGIN + _EVERY + tail).format(**bounds)

"""What a key may do, and what keys look like.

A made key is ``mk_<prefix>_<secret>``: the prefix (48 random bits) finds it, the secret (256 random bits) proves it.
The service keeps the SHA-256 digest of the whole. A slow hash would buy nothing: it is for secrets that people think
of, and nobody guesses 256 random bits, however fast each guess is.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

MARK = "mk_"
ANONYMOUS_ACTOR = "anonymous"
_KEY = re.compile(r"mk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class Role(IntEnum):
    """What a key may do; each role may do what those before it may. The numbers are those of access.proto."""

    READER = 1
    WRITER = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller may do: a role, in some tenants or (None) in all."""

    role: Role
    tenants: frozenset[str] | None
    key_id: UUID | None = None
    """Of a made key; None for those of MEMORY_API_KEYS and without keys."""
    actor: str = ANONYMOUS_ACTOR
    """Who that is, as the audit trail names them: ``key:`` and a prefix, ``jwt:`` and a subject, ``setting:`` and a
    number."""
    is_anonymous: bool = False
    """The deployment has no keys: nobody knows who calls."""
    rate_limit: int = 0
    """Calls a minute of a made key; 0 where it has no limit of its own."""

    def reaches(self, tenant_id: str) -> bool:
        """Whether the tenant is one of the grant's, compared exactly."""
        return self.tenants is None or tenant_id in self.tenants


EVERYTHING = Grant(Role.ADMIN, None)
ANONYMOUS = Grant(Role.ADMIN, None, is_anonymous=True)

_current: ContextVar[Grant] = ContextVar("grant")


def enter(grant: Grant) -> None:
    """The call that runs in this context has this grant from here on; every call has a context of its own."""
    _current.set(grant)


def current() -> Grant:
    """The grant of the call that is being served. Raises LookupError where none was checked: a fault, never a right."""
    return _current.get()


def actor() -> str | None:
    """Who the call is of that is being served; None outside of calls, and before the key was looked at."""
    grant = _current.get(None)
    return grant.actor if grant else None


def new_key() -> str:
    """A key nobody can guess."""
    return f"{MARK}{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def prefix_of(key: str) -> str | None:
    """The prefix of a made key; None for what cannot be one."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def digest(key: str) -> bytes:
    """What is kept of a key: 32 bytes."""
    return hashlib.sha256(key.encode()).digest()

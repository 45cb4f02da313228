"""Variables by which libpq changes a connection that was told where to go, and how.

Those that fill in what a DSN leaves open (PGUSER, PGPASSWORD, PGSSLROOTCERT …) and those that make it stricter
(PGREQUIREAUTH, PGSSLMODE …) stay: whoever writes such a DSN counts on them.
"""

from __future__ import annotations

import os

# Other settings of the session, other places, other spellings than the service relies on.
_CHANGE = {
    "PGOPTIONS",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGHOSTADDR",
    "PGCLIENTENCODING",
    "PGDATESTYLE",
    "PGTZ",
    "PGGEQO",
    "PGAPPNAME",
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
}


def forget_changes() -> list[str]:
    """Takes out of the environment what would change a connection; returns the names, sorted."""
    return _forget({name for name in os.environ if name in _CHANGE})


def forget_all() -> list[str]:
    """Takes out everything of libpq's: for a server of our own, of which all is known."""
    return _forget({name for name in os.environ if name.startswith("PG") and "_" not in name})


def _forget(names: set[str]) -> list[str]:
    for name in names:
        del os.environ[name]
    return sorted(names)

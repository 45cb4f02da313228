"""Every MEMORY_* variable: one class, units in the names, secrets that never print.

Unknown ``MEMORY_*`` variables are ignored by pydantic-settings; ``memory-grpc`` warns of them at start, since a
misspelt limit is a limit that does not hold.
"""

from __future__ import annotations

import os

from pydantic_settings import BaseSettings, SettingsConfigDict

from memory_grpc.setting_groups.access import Access
from memory_grpc.setting_groups.database import Database
from memory_grpc.setting_groups.deployment import Deployment
from memory_grpc.setting_groups.embedding import Embedding
from memory_grpc.setting_groups.identity import Identity
from memory_grpc.setting_groups.listening import Listening
from memory_grpc.setting_groups.retention import Retention
from memory_grpc.setting_groups.scoring import Scoring
from memory_grpc.setting_groups.search import Search
from memory_grpc.setting_groups.tls import Tls
from memory_grpc.setting_groups.users import Users


# pydantic takes fields from the last base to the first, so the sections stand here from the last to the first.
class Settings(
    Retention, Search, Scoring, Users, Embedding, Identity, Access, Database, Tls, Listening, Deployment, BaseSettings
):
    """The service's configuration, read from the environment and from ``.env``."""

    model_config = SettingsConfigDict(env_prefix="MEMORY_", env_file=".env", extra="ignore", frozen=True)


def unknown_variables() -> list[str]:
    """Names of MEMORY_* environment variables that no setting reads, sorted."""
    known = {f"MEMORY_{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith("MEMORY_") and name not in known)

"""Every MEMORY_* variable: one class, units in the names, secrets that never print.

Unknown ``MEMORY_*`` variables are ignored by pydantic-settings; ``memory-grpc`` warns of them at start, since a
misspelt limit is a limit that does not hold.
"""

from __future__ import annotations

import os
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from memory_grpc import service_links
from memory_grpc.setting_groups.access import Access
from memory_grpc.setting_groups.database import Database
from memory_grpc.setting_groups.deployment import Deployment
from memory_grpc.setting_groups.embedding import Embedding
from memory_grpc.setting_groups.identity import Identity
from memory_grpc.setting_groups.listening import Listening
from memory_grpc.setting_groups.reranking import Reranking
from memory_grpc.setting_groups.retention import Retention
from memory_grpc.setting_groups.scoring import Scoring
from memory_grpc.setting_groups.search import Search
from memory_grpc.setting_groups.tls import Tls
from memory_grpc.setting_groups.users import Users


class _Environment(EnvSettingsSource):
    """The environment without what Kubernetes puts there under names of ours."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        return (None if service_links.is_link(f"MEMORY_{field_name.upper()}", value) else value), key, is_complex


# pydantic takes fields from the last base to the first, so the sections stand here from the last to the first.
class Settings(
    Retention,
    Reranking,
    Search,
    Scoring,
    Users,
    Embedding,
    Identity,
    Access,
    Database,
    Tls,
    Listening,
    Deployment,
    BaseSettings,
):
    """The service's configuration, read from the environment and from ``.env``."""

    model_config = SettingsConfigDict(
        env_prefix="MEMORY_", env_file=".env", env_file_encoding="utf-8-sig", extra="ignore", frozen=True
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual ones, the environment without service links."""
        return named["init_settings"], _Environment(settings_cls), named["dotenv_settings"]


def variables() -> set[str]:
    """The names of all settings in the environment."""
    return {f"MEMORY_{name.upper()}" for name in Settings.model_fields}


def unknown_variables() -> list[str]:
    """Names of MEMORY_* environment variables that no setting reads, sorted."""
    return sorted(
        name
        for name, value in os.environ.items()
        if name.startswith("MEMORY_") and name not in variables() and not service_links.is_link(name, value)
    )

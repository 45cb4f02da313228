"""Every MEMORY_* variable: one class, units in the names, secrets that never print.

Unknown ``MEMORY_*`` variables are ignored by pydantic-settings; ``memory-grpc`` warns of them at start, since a
misspelt limit is a limit that does not hold.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from memory_grpc.setting_types import COMMAS, File, Host, Key, Keys, Names

_WEIGHTS = {"importance": ("recency", "role", "explicit"), "score": ("similarity", "importance", "decay")}
DataLoss = Literal["fsync=off", "full_page_writes=off", "synchronous_commit=off"]


class Settings(BaseSettings):
    """The service's configuration, read from the environment and from ``.env``."""

    model_config = SettingsConfigDict(env_prefix="MEMORY_", env_file=".env", extra="ignore", frozen=True)

    # What it is
    environment: str = Field("local", description="Name of the deployment, shown by the health endpoint and in logs.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people.")

    # Where it listens
    host: Host = Field("127.0.0.1", description="Address the gRPC server and the metrics endpoint bind to.")
    grpc_port: int = Field(50051, ge=0, le=65535, description="gRPC port.")
    metrics_port: int = Field(9464, ge=0, le=65535, description="HTTP port of /metrics, /docs and /openapi.json.")
    http_host: Host = Field("127.0.0.1", description="Address Envoy binds to.")
    http_port: int = Field(8000, ge=0, le=65535, description="Envoy's port: REST/JSON, and gRPC on the same port.")
    metrics_public: Literal["loopback", "always", "never"] = Field(
        "loopback",
        description="Where Envoy shows /metrics, to everybody: where only this machine reaches it, always, or never.",
    )
    upstream_host: Host = Field("127.0.0.1", description="Where Envoy finds the gRPC server and the metrics endpoint.")

    # TLS
    tls_cert_file: File = Field(
        None, description="Certificate of the gRPC port with its chain, PEM. Unset: the port speaks plaintext."
    )
    tls_key_file: File = Field(None, description="Its private key, PEM, without a password.")
    tls_client_ca_file: File = Field(
        None,
        description="CAs, PEM, one of which must have signed every client's certificate (mTLS). Unset: none needed.",
    )
    tls_ca_file: File = Field(
        None,
        description="CAs, PEM, by which Envoy and the commands check the server; set, they speak TLS to it.",
    )
    tls_client_cert_file: File = Field(
        None, description="Certificate that Envoy and the commands show to the server, PEM."
    )
    tls_client_key_file: File = Field(None, description="Its private key, PEM, without a password.")
    http_tls_cert_file: File = Field(
        None, description="Certificate of Envoy's port with its chain, PEM. Unset: the port speaks plaintext."
    )
    http_tls_key_file: File = Field(None, description="Its private key, PEM, without a password.")
    tls_server_name: str = Field(
        "", description="Name that the server's certificate must bear. Unset: the host that is connected to."
    )

    # Database
    database_url: SecretStr | None = Field(
        None,
        description="Postgres with pgvector, postgresql://user:password@host/db (the postgresql+asyncpg:// spelling is "
        "accepted). Unset: `memory-grpc up` runs an embedded Postgres.",
    )
    data_dir: Path = Field(Path(".data"), description="Where the embedded Postgres keeps its data.")
    database_pool_min_size: int = Field(2, ge=0, description="Connections kept open.")
    database_pool_max_size: int = Field(10, ge=1, description="Connections opened at most.")
    database_background_pool_size: int = Field(
        8,
        ge=2,
        description="Connections opened at most for background work and administration, beside those for calls.",
    )
    database_pool_max_waiting: int = Field(
        256, ge=1, description="Calls that may wait for a connection; the next is refused with UNAVAILABLE at once."
    )
    database_pool_timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for a connection.")
    accept_data_loss_with: Annotated[list[DataLoss], NoDecode, COMMAS] = Field(
        [],
        description="Comma-separated settings of Postgres to start with although they can lose acknowledged messages: "
        "fsync=off, full_page_writes=off, synchronous_commit=off. Unset, the start is refused.",
    )

    # Access
    api_keys: Keys = Field(
        [],
        description="Comma-separated keys, 16 characters each at least; once set, every call but health, metrics and "
        "docs needs x-api-key.",
    )
    accept_open_access: bool = Field(
        False, description="Start although other machines can reach the service and there is no key at all."
    )
    allowed_hosts: Names = Field(
        [],
        description="Comma-separated names, or *, that Envoy answers to besides localhost while MEMORY_API_KEYS is not "
        "set.",
    )
    allowed_origins: Names = Field([], description="Comma-separated origins that browsers may call from (CORS), or *.")
    global_rate_limit: str = Field(
        "200/minute", description="Calls per client IP, in the notation of the limits library; empty for none."
    )
    trusted_proxies: Names = Field(
        ["127.0.0.0/8", "::1/128"],
        description="Networks whose x-forwarded-for is believed when the client IP is looked for.",
    )
    request_timeout_seconds: float = Field(
        15.0, gt=0, le=3600, description="Longest time a call may take, whatever the client asks."
    )
    max_calls_in_flight: int = Field(
        128,
        ge=1,
        description="Calls of a kind (reads, writes, streams, administration) inside at once; the next gets "
        "RESOURCE_EXHAUSTED. Fewer while calls are late.",
    )
    max_request_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="Largest request; a larger one gets RESOURCE_EXHAUSTED / 413."
    )
    drain_seconds: float = Field(10.0, ge=0, description="Time that calls in flight get to finish at shutdown.")

    # Embedding
    embedding_provider: Literal["sentence_transformer", "openai", "hashing"] = Field(
        "sentence_transformer", description="Who embeds. hashing is for tests only: it knows no meaning."
    )
    embedding_model_name: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2", description="Model name, or the path of a local model folder."
    )
    embedding_dimensions: int = Field(384, ge=1, le=4000, description="Length of the model's vectors.")
    embedding_device: str = Field("cpu", description="Torch device of the model: cpu, cuda, mps.")
    embedding_precision: Literal["fp32", "bf16", "auto"] = Field(
        "fp32", description="Precision of the model; auto takes bf16 where the CPU computes it natively."
    )
    embedding_next_model_name: str = Field(
        "",
        description="The model that `memory-grpc reembed` goes to, held beside the other. Empty: the same model, which "
        "is no change unless one of the next three is another.",
    )
    embedding_next_provider: Literal["same", "sentence_transformer", "openai", "hashing"] = Field(
        "same", description="Who embeds with it."
    )
    embedding_next_dimensions: int = Field(0, ge=0, le=4000, description="Length of its vectors; 0 for the same.")
    embedding_next_precision: Literal["same", "fp32", "bf16", "auto"] = Field("same", description="Its precision.")
    embedding_workers: int = Field(
        0, ge=0, le=64, description="Inference threads, one torch thread each; 0 takes it from the CPUs."
    )
    embedding_batch_size: int = Field(64, ge=1, le=1024, description="Windows embedded in one batch at most.")
    embedding_batch_wait_ms: float = Field(2.0, ge=0, le=100, description="Longest wait for a batch to fill.")
    embedding_queue_size: int = Field(
        4096, ge=1, description="Windows that may wait; past that a call gets RESOURCE_EXHAUSTED at once."
    )
    embedding_hang_seconds: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Longest a batch may be in the model before its thread is given up and replaced.",
    )
    embedding_query_cache_size: int = Field(1024, ge=0, description="Query vectors kept (least recently used go).")
    async_embeddings: bool = Field(
        False, description="Store messages at once as pending and embed them afterwards, unless a request disagrees."
    )
    embedding_max_attempts: int = Field(
        10, ge=1, le=100, description="Tries to embed a pending message before it is marked failed."
    )
    openai_base_url: str = Field("", description="Base URL of an OpenAI-compatible embeddings API (…/v1).")
    openai_api_key: Key = Field(None, description="Its key.")
    openai_timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for one of its answers.")
    openai_max_retries: int = Field(3, ge=0, le=10, description="Tries after the first, with jittered backoff.")

    # Users
    user_id_metadata_key: str = Field(
        "user_id",
        max_length=128,
        description="Key of metadata that user_id is taken from where a message has none of its own; empty for none.",
    )

    # Importance and score (the deployment's defaults; a tenant's policy goes before them)
    importance_recency_weight: float = Field(0.4, ge=0, le=1, description="Weight of recency in importance.")
    importance_role_weight: float = Field(0.2, ge=0, le=1, description="Weight of the role in importance.")
    importance_explicit_weight: float = Field(0.4, ge=0, le=1, description="Weight of importance_override.")
    score_similarity_weight: float = Field(0.6, ge=0, le=1, description="Weight of similarity in the score.")
    score_importance_weight: float = Field(0.3, ge=0, le=1, description="Weight of importance in the score.")
    score_decay_weight: float = Field(0.1, ge=0, le=1, description="Weight of decay in the score.")

    # Search
    search_ranking: Literal["semantic", "hybrid"] = Field(
        "semantic", description="Ranking of searches that name none: the documented score, or hybrid."
    )
    search_text_config: str = Field(
        "english",
        pattern="^[a-z_][a-z0-9_]*$",
        description="Postgres text-search configuration of the hybrid ranking: stemming and stop words of a language.",
    )
    graph_threshold: int = Field(
        50_000,
        ge=0,
        description="Messages from which on a tenant gets a graph of its own instead of being scanned; 0 for never.",
    )
    graph_check_seconds: float = Field(60.0, gt=0, description="Time between two looks for tenants that need a graph.")
    graph_build_memory_mb: int = Field(
        1024, ge=64, le=1_000_000, description="Memory of Postgres that building one graph may take, in megabytes."
    )
    hybrid_lexical_weight: float = Field(0.25, ge=0, le=10, description="Weight of words in the hybrid relevance.")
    hybrid_conversation_weight: float = Field(
        0.4, ge=0, le=10, description="Weight of the best turn of the conversation in the hybrid relevance."
    )
    hybrid_date_weight: float = Field(
        0.3, ge=0, le=10, description="Weight of a date that the query names in the hybrid relevance."
    )
    hybrid_speaker_weight: float = Field(
        0.3, ge=0, le=10, description="Weight of a speaker that the query names in the hybrid relevance."
    )
    hybrid_previous_weight: float = Field(
        0.5, ge=0, le=1, description="Share of the words of the turn before that count for a message too."
    )
    hybrid_names_to_i: bool = Field(
        True, description='Embed hybrid queries with the names of participants as "I", as turns speak of themselves.'
    )

    # Retention
    retention_max_age_days: float = Field(30, gt=0, le=36500, description="Messages older than this are archived.")
    retention_importance_threshold: float = Field(
        0.35, ge=0, le=1, description="Messages less important than this are archived."
    )
    retention_delete_after_days: float = Field(
        90, ge=0, le=36500, description="Archived messages are deleted after this many days in the archive."
    )
    retention_schedule_seconds: float = Field(
        3600, ge=0, description="Time between two sweeps of all tenants; 0 switches the scheduler off."
    )
    retention_batch_size: int = Field(1000, ge=1, le=100000, description="Rows moved or deleted in one transaction.")
    idempotency_hours: float = Field(24, gt=0, description="How long a request_id is remembered.")

    @model_validator(mode="after")
    def _weigh_something(self) -> Settings:
        """Weights that are all 0 tell no message from another."""
        for section, names in _WEIGHTS.items():
            if not any(getattr(self, f"{section}_{name}_weight") for name in names):
                variables = ", ".join(f"MEMORY_{section}_{name}_WEIGHT".upper() for name in names)
                raise PydanticCustomError("weights", f"{variables} must not all be 0")
        return self

    @property
    def conninfo(self) -> str | None:
        """The DSN psycopg understands, or None for the embedded Postgres."""
        if self.database_url is None or not self.database_url.get_secret_value().strip():
            return None
        return re.sub(r"^(\w+)\+\w+://", r"\1://", self.database_url.get_secret_value().strip())

    @property
    def with_next_model(self) -> Settings | None:
        """These settings with the next model in the place of the current one; None when no other is named."""
        wanted = {
            "embedding_model_name": self.embedding_next_model_name or self.embedding_model_name,
            "embedding_provider": self.embedding_next_provider,
            "embedding_dimensions": self.embedding_next_dimensions or self.embedding_dimensions,
            "embedding_precision": self.embedding_next_precision,
        }
        changes = {name: value for name, value in wanted.items() if value not in ("same", getattr(self, name))}
        return self.model_copy(update=changes) if changes else None


def unknown_variables() -> list[str]:
    """Names of MEMORY_* environment variables that no setting reads, sorted."""
    known = {f"MEMORY_{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith("MEMORY_") and name not in known)

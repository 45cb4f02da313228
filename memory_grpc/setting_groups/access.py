"""Who may call, from where, how often, how much."""

from __future__ import annotations

from pydantic import BaseModel, Field

from memory_grpc.setting_types import Keys, Names, Secret, SomeNames


class Access(BaseModel):
    """Access."""

    api_keys: Keys = Field(
        [],
        description="Comma-separated keys of at least 4 characters, or 16 if other machines can reach "
        "the service. Once set, every call except health, metrics and docs needs x-api-key.",
    )
    accept_open_access: bool = Field(
        False, description="Start even if other machines can reach the service and there is no key."
    )
    allowed_hosts: SomeNames = Field(
        [],
        description="Comma-separated host names, or *, that Envoy answers to besides localhost while "
        "MEMORY_API_KEYS is not set.",
    )
    allowed_origins: Names = Field([], description="Comma-separated origins that browsers may call from (CORS), or *.")
    global_rate_limit: str = Field(
        "200/minute", description="Calls per client IP, in the notation of the limits library; empty for none."
    )
    tenant_rate_limit: str = Field(
        "", description="Calls per tenant, whoever makes them, in the same notation; empty for none."
    )
    rate_limit_storage: Secret = Field(
        None,
        description="URL of a Redis in which all servers count together, such as redis://host:6379/0.",
    )
    trusted_proxies: Names = Field(
        ["127.0.0.0/8", "::1/128"],
        description="Networks whose x-forwarded-for is trusted to name the client's IP.",
    )
    request_timeout_seconds: float = Field(
        15.0, gt=0, le=3600, description="Longest time a call may take, whatever deadline the client sets."
    )
    max_calls_in_flight: int = Field(
        128,
        ge=1,
        description="Calls of one kind (reads, writes, streams, administration) that may run at once; "
        "further ones get RESOURCE_EXHAUSTED. The limit shrinks while calls are slow.",
    )
    max_request_bytes: int = Field(
        4 * 1024 * 1024,
        ge=1024,
        le=500_000_000,  # gRPC counts what it may read in 31 bits, and four times this is read
        description="Largest request; a larger one gets RESOURCE_EXHAUSTED / 413.",
    )
    max_answer_bytes: int = Field(
        16 * 1024 * 1024,
        ge=1024 * 1024,
        description="Largest answer of a search; a larger one gets RESOURCE_EXHAUSTED before it is read.",
    )
    drain_seconds: float = Field(10.0, ge=0, description="Time that calls in flight have to finish at shutdown.")

"""When messages are archived and deleted, and how long request ids are kept."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Retention(BaseModel):
    """Retention."""

    retention_max_age_days: float = Field(30, gt=0, le=36500, description="Messages older than this are archived.")
    retention_importance_threshold: float = Field(
        0.35, ge=0, le=1, description="Messages less important than this are archived."
    )
    retention_delete_after_days: float = Field(
        90, ge=0, le=36500, description="Archived messages are deleted after this many days in the archive."
    )
    quota_max_messages: int = Field(
        0, ge=0, le=10**12, description="Messages that a tenant may store, live and archived; 0 for no limit."
    )
    quota_max_bytes: int = Field(
        0, ge=0, le=10**15, description="Bytes of content and metadata that a tenant may store; 0 for no limit."
    )
    retention_schedule_seconds: float = Field(
        3600, ge=0, description="Time between two sweeps of all tenants; 0 switches the scheduler off."
    )
    retention_batch_size: int = Field(1000, ge=1, le=100000, description="Rows moved or deleted in one transaction.")
    audit_days: float = Field(
        365, ge=30, description="How long the audit trail is kept: administration, denials, and uses of keys."
    )
    idempotency_hours: float = Field(24, gt=0, description="How long a request_id is remembered.")

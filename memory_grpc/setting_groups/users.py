"""Where a message's user is read."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Users(BaseModel):
    """Users."""

    user_id_metadata_key: str = Field(
        "user_id",
        max_length=128,
        description="Metadata key from which user_id is taken if a message has none; empty for none.",
    )

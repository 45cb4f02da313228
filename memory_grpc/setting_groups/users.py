"""Where a message's user is read."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Users(BaseModel):
    """Users."""

    user_id_metadata_key: str = Field(
        "user_id",
        max_length=128,
        description="Key of metadata that user_id is taken from where a message has none of its own; empty for none.",
    )

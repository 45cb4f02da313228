"""Weights of importance and score."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

_WEIGHTS = {"importance": ("recency", "role", "explicit"), "score": ("similarity", "importance", "decay")}


class Scoring(BaseModel):
    """Importance and score (the deployment's defaults; a tenant's policy goes before them)."""

    importance_recency_weight: float = Field(0.4, ge=0, le=1, description="Weight of recency in importance.")
    importance_role_weight: float = Field(0.2, ge=0, le=1, description="Weight of the role in importance.")
    importance_explicit_weight: float = Field(0.4, ge=0, le=1, description="Weight of importance_override.")
    score_similarity_weight: float = Field(0.6, ge=0, le=1, description="Weight of similarity in the score.")
    score_importance_weight: float = Field(0.3, ge=0, le=1, description="Weight of importance in the score.")
    score_decay_weight: float = Field(0.1, ge=0, le=1, description="Weight of decay in the score.")

    @model_validator(mode="after")
    def _weigh_something(self) -> Self:
        """Weights that are all 0 tell no message from another."""
        for section, names in _WEIGHTS.items():
            if not any(getattr(self, f"{section}_{name}_weight") for name in names):
                variables = ", ".join(f"MEMORY_{section}_{name}_WEIGHT".upper() for name in names)
                raise PydanticCustomError("weights", f"{variables} must not all be 0")
        return self

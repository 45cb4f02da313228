"""Ranking, graphs, and the weights of the hybrid relevance."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from memory_grpc.setting_types import File, OwnWeight, TimeZone


class Search(BaseModel):
    """Search."""

    search_ranking: Literal["semantic", "hybrid"] = Field(
        "semantic", description="Ranking of searches that name none: the documented score, or hybrid."
    )
    time_zone: TimeZone = Field(
        "UTC", description='Whose days "yesterday" and the like are in queries that do not say: an IANA time zone.'
    )
    search_text_config: str = Field(
        "english",
        pattern="^[a-z_][a-z0-9_]*$",
        description="Postgres text-search configuration of the hybrid ranking: stemming and stop words of a language.",
    )
    context_tokenizer: File = Field(
        None,
        description="A tokenizer.json that counts the tokens of contexts. Unset: the embedding model's own; where that "
        "has none, 4 bytes are a token.",
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
    hybrid_recipe: Literal["surroundings", "conversation"] = Field(
        "surroundings",
        description="Which weights the hybrid relevance has: of the turns around, or of the conversation.",
    )
    hybrid_lexical_weight: OwnWeight = Field(
        None, ge=0, le=10, description="Weight of words in the hybrid relevance. Unset: the recipe's."
    )
    hybrid_near_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of the best turn within three turns in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_after_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of the turn right after in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_conversation_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of the best turn of the conversation in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_coverage_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of the share of the query's words near it in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_date_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of a date that the query names in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_speaker_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of a speaker that the query names in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_asks_when_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of a word of time where the query asks when in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_first_person_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of a turn that speaks of its speaker in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_question_weight: OwnWeight = Field(
        None,
        ge=-10,
        le=10,
        description="Weight of a turn that ends with a question mark in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_assistant_weight: OwnWeight = Field(
        None,
        ge=-10,
        le=10,
        description="Weight of a turn of the role assistant in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_rerank_weight: float = Field(
        1.0, ge=0, le=10, description="Weight of the reranker in the hybrid relevance; 0 sends it nothing."
    )
    hybrid_previous_weight: float = Field(
        0.5, ge=0, le=1, description="Share of the words of the turn before that count for a message too."
    )
    hybrid_names_to_i: bool = Field(
        True, description='Embed hybrid queries with the names of participants as "I", as turns speak of themselves.'
    )

"""Ranking, graphs, and the weights of the hybrid relevance."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from memory_grpc.setting_types import File, OwnWeight, TimeZone


class Search(BaseModel):
    """Search."""

    search_ranking: Literal["semantic", "hybrid"] = Field(
        "semantic", description="Ranking of searches that do not name one: the documented score, or hybrid."
    )
    time_zone: TimeZone = Field(
        "UTC", description='IANA time zone for words such as "yesterday" in queries that name no zone.'
    )
    search_text_config: str = Field(
        "english",
        pattern="^[a-z_][a-z0-9_]*$",
        description="Postgres text-search configuration of the hybrid ranking: the stemming and stop "
        "words of a language.",
    )
    context_tokenizer: File = Field(
        None,
        description="A tokenizer.json that counts the tokens of contexts. Unset: the embedding model's "
        "own; if it has none, 4 bytes count as a token.",
    )
    graph_threshold: int = Field(
        50_000,
        ge=0,
        description="Number of messages from which a tenant gets its own graph instead of being scanned; 0 for never.",
    )
    graph_check_seconds: float = Field(60.0, gt=0, description="Time between two checks for tenants that need a graph.")
    graph_build_memory_mb: int = Field(
        1024, ge=64, le=1_000_000, description="Memory that Postgres may use to build one graph, in megabytes."
    )
    hybrid_recipe: Literal["surroundings", "conversation"] = Field(
        "surroundings",
        description="Which set of weights the hybrid relevance uses: for the surrounding turns, or for "
        "the conversation.",
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
        description="Weight of the share of the query's words found near the message in the hybrid "
        "relevance. Unset: the recipe's.",
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
        description="Weight of a time word in the hybrid relevance if the query asks when. Unset: the recipe's.",
    )
    hybrid_first_person_weight: OwnWeight = Field(
        None,
        ge=0,
        le=10,
        description="Weight of a turn about its own speaker in the hybrid relevance. Unset: the recipe's.",
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
        description="Weight of an assistant's turn in the hybrid relevance. Unset: the recipe's.",
    )
    hybrid_rerank_weight: float = Field(
        1.0, ge=0, le=10, description="Weight of the reranker in the hybrid relevance; at 0 nothing is sent to it."
    )
    hybrid_previous_weight: float = Field(
        0.5, ge=0, le=1, description="Share with which the previous turn's words count for a message too."
    )
    hybrid_names_to_i: bool = Field(
        True,
        description='Embed hybrid queries with participants\' names replaced by "I", as turns refer to '
        "their own speaker.",
    )

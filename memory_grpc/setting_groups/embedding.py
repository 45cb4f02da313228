"""The model that embeds, and the one that comes after it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field

from memory_grpc.setting_types import File, Secret


class Embedding(BaseModel):
    """Embedding."""

    embedding_provider: Literal["sentence_transformer", "openai", "hashing"] = Field(
        "sentence_transformer", description="What embeds texts. hashing is for tests only: it knows no meaning."
    )
    embedding_model_name: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2", description="Model name, or path of a local model folder."
    )
    embedding_dimensions: int = Field(
        384,
        ge=1,
        le=4000,
        description="Length of the vectors. If set to fewer than the model's, vectors are cut to it, "
        "for Matryoshka models.",
    )
    embedding_query_prompt: str = Field(
        "", max_length=1000, description="Text put before each query. Empty: the model's own prompt; `none`: nothing."
    )
    embedding_document_prompt: str = Field(
        "",
        max_length=1000,
        description="Text put before each message. Empty: the model's own prompt; `none`: nothing. "
        "Changing it counts as a change of model.",
    )
    embedding_device: str = Field("cpu", description="Torch device of the model: cpu, cuda, mps.")
    embedding_precision: Literal["fp32", "bf16", "auto"] = Field(
        "fp32", description="Precision of the model; auto takes bf16 if the CPU computes it natively."
    )
    embedding_next_model_name: str = Field(
        "",
        description="The model that `memory-grpc reembed` changes to, held beside the current one. "
        "Empty: the same model, which is a change only if another of the next settings "
        "differs.",
    )
    embedding_next_provider: Literal["same", "sentence_transformer", "openai", "hashing"] = Field(
        "same", description="What embeds with the next model."
    )
    embedding_next_dimensions: int = Field(
        0, ge=0, le=4000, description="Length of its vectors; 0 for the current length."
    )
    embedding_next_query_prompt: str = Field(
        "",
        max_length=1000,
        description="Text put before its queries. Empty: the current prompt for the same model, "
        "otherwise the model's own.",
    )
    embedding_next_document_prompt: str = Field(
        "",
        max_length=1000,
        description="Text put before its messages. Empty: the current prompt for the same model, "
        "otherwise the model's own.",
    )
    embedding_next_precision: Literal["same", "fp32", "bf16", "auto"] = Field("same", description="Its precision.")
    embedding_workers: int = Field(
        0, ge=0, le=64, description="Inference threads, one torch thread each; 0 derives it from the number of CPUs."
    )
    embedding_batch_size: int = Field(64, ge=1, le=1024, description="Most windows embedded in one batch.")
    embedding_batch_wait_ms: float = Field(2.0, ge=0, le=100, description="Longest wait for a batch to fill.")
    embedding_queue_size: int = Field(
        4096,
        ge=1,
        description="Windows that may wait for the model. Beyond that, messages are kept as pending and "
        "searches are refused.",
    )
    embedding_hang_seconds: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Longest a batch may take in the model before its thread is abandoned and replaced.",
    )
    embedding_query_cache_size: int = Field(
        1024, ge=0, description="Query vectors kept in the cache; the least recently used are dropped first."
    )
    async_embeddings: bool = Field(
        False,
        description="Store messages at once as pending and embed them afterwards, unless a request says otherwise.",
    )
    embedding_max_attempts: int = Field(
        10, ge=1, le=100, description="Attempts to embed a pending message before it is marked as failed."
    )
    embedding_tokenizer: File = Field(
        None,
        description="A tokenizer.json that splits long texts for a remote model and counts the tokens "
        "of contexts. Unset: 3 characters count as a token, 1 in Chinese and similar "
        "scripts.",
    )
    embedding_max_tokens: int = Field(
        8000, ge=32, le=1_000_000, description="Tokens that a remote model reads; longer texts are split into windows."
    )
    openai_base_url: str = Field("", description="Base URL of an OpenAI-compatible embeddings API (…/v1).")
    openai_api_key: Secret = Field(None, description="API key for it.")
    openai_timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for an answer from it.")
    openai_max_retries: int = Field(
        3, ge=0, le=10, description="Retries after the first attempt, with jittered backoff."
    )

    @property
    def with_next_model(self) -> Self | None:
        """These settings with the next model in the place of the current one; None when no other is named."""
        is_other = self.embedding_next_model_name not in ("", self.embedding_model_name)
        own = ("", "") if is_other else (self.embedding_query_prompt, self.embedding_document_prompt)
        wanted = {
            "embedding_model_name": self.embedding_next_model_name or self.embedding_model_name,
            "embedding_provider": self.embedding_next_provider,
            "embedding_dimensions": self.embedding_next_dimensions or self.embedding_dimensions,
            "embedding_precision": self.embedding_next_precision,
            "embedding_document_prompt": self.embedding_next_document_prompt or own[1],
        }
        changes = {name: value for name, value in wanted.items() if value not in ("same", getattr(self, name))}
        if not changes:
            return None
        # Asking in another way makes no other model, so this one alone is no change.
        changes["embedding_query_prompt"] = self.embedding_next_query_prompt or own[0]
        following = self.model_copy(update=changes)
        # Whether vectors may be cut depends on whether their length was chosen for this model.
        if self.embedding_next_dimensions:
            following.model_fields_set.add("embedding_dimensions")
        elif is_other:
            following.model_fields_set.discard("embedding_dimensions")
        return following

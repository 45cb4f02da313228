"""What a model wants to read before a query, and before a message."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

QUERY, DOCUMENT = ("query",), ("document", "passage", "corpus")
"""Names of prompts in a model's configuration: those that SentenceTransformer.encode_query and encode_document try."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Put before each text word for word, blanks at the end included; empty for none."""

    query: str = ""
    document: str = ""

    def of(self, *, is_query: bool) -> str:
        """The one of a query, or of a message."""
        return self.query if is_query else self.document

    def revision(self, weights: str) -> str:
        """The revision of a model with these weights that reads messages so.

        The document's prompt is part of what a stored vector means. The query's is not: with another one the same
        vectors are asked in another way.
        """
        if not self.document:
            return weights
        return f"{weights}-{hashlib.blake2b(self.document.encode(), digest_size=4).hexdigest()}"


NONE = "none"
"""As a setting: no prompt, whatever the model's own is."""


def chosen(own: Prompts, query: str, document: str) -> Prompts:
    """The model's own, but where settings name others."""
    return Prompts(_chosen(own.query, query), _chosen(own.document, document))


def _chosen(own: str, setting: str) -> str:
    return "" if setting == NONE else setting or own


def of_model(folder: Path) -> Prompts:
    """The prompts that a model's folder names; its default prompt for both where it names neither."""
    file = folder / "config_sentence_transformers.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    named = config.get("prompts") or {}

    # Saved models name prompts that they do not have, as empty ones.
    def first(names: tuple[str, ...]) -> str:
        return next((named[name] for name in names if named.get(name)), "")

    query, document = first(QUERY), first(DOCUMENT)
    if query or document:
        return Prompts(query, document)
    default = named.get(config.get("default_prompt_name")) or ""
    return Prompts(default, default)

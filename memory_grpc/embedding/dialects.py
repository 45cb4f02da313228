"""What services that speak OpenAI's embeddings API ask for, refuse and answer, each a little otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import copy
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from memory_grpc.errors import EmbeddingUnavailable
from memory_grpc.whole_answer import MOST_PARTS, Answer

from .prompts import Prompts
from .provider import check_shape

LONGEST_VECTOR = 8192
"""Numbers. A vector of another length than is configured is read as well: only then can the error say so."""
BYTES_A_NUMBER = 64
"""Of an answer, at most: the longest double has 24, and some services indent each on a line of its own."""

Refusal = Literal["too long", "too many", "no such field", "other"]

VOYAGE_HOSTS = ("voyageai.com", "ai.mongodb.com")
AZURE_HOSTS = (".azure.com", ".azure.us", ".azure.cn", ".azure-api.net")

# Words of OpenAI, Azure, vLLM, Ollama, llama.cpp, Text Embeddings Inference, LiteLLM and Voyage. The status does not
# tell: Ollama and llama.cpp may refuse a long text with 500, and LiteLLM an unknown field.
_FIELD = re.compile(r"dimensions?\b|encoding_format|matryoshka")
# Of 500, which is also what a service says that breaks down, with any words.
_UNKNOWN = re.compile(r"unsupported|not support|unknown|unexpected|matryoshka")
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|contextwindow|input length|too (long|large)|too many tokens"
    r"|(maximum|max allowed|less than|exceed)[^.]{0,60}tokens"
)
_TOO_MANY = re.compile(r"batch|array too long|at most \d+|number of (texts|inputs)")
# Where services say what is wrong. Elsewhere in an answer may be what was sent.
_SAID_IN = ("error", "message", "detail", "msg", "loc", "code", "type", "param")


class Dialect:
    """A service's fields. Those that it may not know are left out once it has refused them."""

    def __init__(self, host: str, model: str, dimensions: int, prompts: Prompts) -> None:
        self._is_voyage = host.endswith(VOYAGE_HOSTS)
        # Voyage has prompts of its own for queries and for messages; one that is set stands in its place, for its side.
        self._types = {is_query: self._is_voyage and not prompts.of(is_query=is_query) for is_query in (True, False)}
        self._body: dict[str, Any] = {"model": model}
        if self._is_voyage:
            # Else it cuts long texts without a word.
            self._body["truncation"] = False
            self._optional: dict[str, Any] = {"output_dimension": dimensions}
        else:
            self._optional = {"encoding_format": "float", "dimensions": dimensions}

    def body(self, texts: list[str], *, is_query: bool) -> dict[str, Any]:
        """A request."""
        body = {**self._body, **self._optional, "input": texts}
        if self._types[is_query]:
            body["input_type"] = "query" if is_query else "document"
        return body

    def without_refused(self, answer: Answer) -> Dialect | None:
        """The same without the optional fields that a refusal names; None when it names none."""
        words = said(answer).replace("matryoshka", "dimensions")
        kept = {name: value for name, value in self._optional.items() if name not in words}
        if kept == self._optional:
            return None
        other = copy(self)
        other._optional = kept
        return other


def headers(host: str, key: str) -> dict[str, str]:
    """How a service wants to be told the key."""
    if not key:
        return {}
    return {"api-key": key} if host.endswith(AZURE_HOSTS) else {"authorization": f"Bearer {key}"}


def refusal(answer: Answer) -> Refusal | None:
    """Why an answer refuses its texts; None when it says nothing about them."""
    status = answer.status
    if status not in (400, 413, 422, 500):
        return None
    words = said(answer)
    if _FIELD.search(words) and (status != 500 or _UNKNOWN.search(words)):
        return "no such field"
    if status != 500 and _TOO_MANY.search(words) and "token" not in words and "too large to process" not in words:
        return "too many"
    if status == 413 or _TOO_LONG.search(words):
        return "too long"
    return None if status == 500 else "other"


def said(answer: Answer) -> str:
    """What a service says is wrong, in small letters: to be looked at, and never shown, since it may hold content."""
    try:
        return " ".join(_strings(answer.json())).lower()
    except ValueError:
        return ""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for name in _SAID_IN:
            yield from _strings(value.get(name))


def vectors(answer: Answer, count: int, dimensions: int) -> npt.NDArray[np.float64]:
    """An answer's vectors, ``[count, dimensions]``; EmbeddingUnavailable when it is malformed.

    They stand in the order of ``index``. Some services leave it out, or give 0 for all: theirs are in the order asked.
    """
    try:
        rows = answer.json(MOST_PARTS + count * LONGEST_VECTOR)["data"]
        places = [row.get("index") or 0 for row in rows]
        if any(places):
            rows = [row for _, row in sorted(zip(places, rows, strict=True), key=lambda pair: pair[0])]
            if sorted(places) != list(range(count)):
                raise ValueError
        lists = [row["embedding"] for row in rows]
        # numpy would take "1.5" and true for numbers, too. JSON has no NaN: many write null for it, and numpy reads it.
        if any(not {int, float, type(None)}.issuperset(map(type, values)) for values in lists):
            raise ValueError
        found = np.array(lists, dtype=np.float64)
        if found.ndim != 2 or len(found) != count:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise EmbeddingUnavailable("The embedding service returned an answer that cannot be read.") from None
    check_shape(found, dimensions, count)
    return found

"""Messages and questions that are made up with the shape of real ones; the same for the same seed.

Vectors are points about 2,000 topics in 48 dimensions of falling variance, turned into 384 with a little noise: closer
to what a model gives than random ones. Three turns of five are about the topic of their conversation. Words follow
Zipf's law, with stop words between them, whatever the vector: what is similar and what shares words are then two
things, which is the harder case for a pool. Twenty turns make a conversation of two speakers. Importance is the
documented formula's, with an override on every tenth message. A user has a conversation in a hundred, or a message in a
thousand of a large tenant; metadata holds a source, a channel, a tag of two hundred messages and a number.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from memory_grpc.domain.messages import NewMessage, PreparedMessage
from memory_grpc.ids import Uuid7

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DIMENSIONS = 384
NAMES = ("Ann", "Bob", "Carla", "Dieter")
SOURCES = ("web", "app", "mail")
TURNS = 20
WORDS = 20_000
TOPICS = 2_000
BATCH = 2_000
_STOP_WORDS = "the of and to a in is that it was for on with as at by this had not are but from or have an they"
_WHEN = (" in May 2026", " on 3 February 2026", " last week", " in August 2025", " in April 2025", " in 2026")

Array = NDArray[np.float32]

_shape = np.random.default_rng(7)
_BASIS = (_shape.standard_normal((48, DIMENSIONS)) / np.sqrt(np.arange(1, 49))[:, None]).astype(np.float32)
_CENTRES = _shape.standard_normal((TOPICS, 48)).astype(np.float32)
_PARTS = ("bcdfghklmnprstvz", "aeiou", "bdfgklmnprtz", "aeiou", "dfgkmnprtz")
_VOCABULARY = _shape.permutation(np.array(["".join(p) for p in itertools.product(*_PARTS)], dtype=object))[:WORDS]
_FREQUENT = np.cumsum(1 / np.arange(1, WORDS + 1))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the unit vector [DIMENSIONS] that a model would give it."""

    text: str
    vector: Array


def messages(tenant: str, count: int, seed: int, days: int) -> Iterator[tuple[list[PreparedMessage], Array]]:
    """A tenant's messages, oldest first and evenly over so many days, and their vectors [messages, DIMENSIONS], in
    batches."""
    rng, more = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    ids = Uuid7(lambda: int(NOW.timestamp() * 1000), more.bytes)
    users = max(100, count // 1000)
    step = timedelta(days=days) / count
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        conversations = (start + np.arange(size)) // TURNS
        own = rng.integers(0, TOPICS, conversations[-1] + 1 - conversations[0])[conversations - conversations[0]]
        topics = np.where(rng.random(size) < 0.6, own, rng.integers(0, TOPICS, size))
        role = rng.choice([0.5, 0.7, 0.9], size, p=[0.45, 0.5, 0.05])
        tags, ratings = more.integers(0, max(1, count // 200), size), more.integers(0, 1000, size)
        importances = 0.4 + 0.2 * role + 0.4 * np.where(rng.random(size) < 0.1, rng.random(size), 0)
        made = [
            PreparedMessage(
                id=ids(),
                message=NewMessage(
                    tenant_id=tenant,
                    conversation_id=f"conversation-{conversation}",
                    user_id=f"user-{conversation * 7919 % users}",
                    role="user" if (start + i) % 2 == 0 else "assistant",
                    name=NAMES[2 * (conversation % 2) + (start + i) % 2],
                    content=content,
                    metadata={
                        "source": SOURCES[conversation % len(SOURCES)],
                        "channel": f"channel-{conversation % 50}",
                        "tag": f"tag-{tags[i]}",
                        "rating": int(ratings[i]),
                    },
                    created_at=NOW - step * (count - start - i),
                ),
                importance=float(importances[i]),
                embedding_status="completed",
            )
            for i, (conversation, content) in enumerate(zip(conversations.tolist(), _contents(rng, size), strict=True))
        ]
        yield made, _vectors(rng, topics)


def questions(count: int, seed: int) -> list[Question]:
    """Questions of rare and frequent words, most with a speaker and some with a date."""
    rng = np.random.default_rng([seed, 99])
    vectors = _vectors(rng, rng.integers(0, TOPICS, count))
    asked = []
    for number in range(count):
        ranks = np.exp(rng.uniform(0, np.log(WORDS), 2 + number % 5)).astype(int) - 1
        who = f"did {NAMES[int(rng.integers(len(NAMES)))]}" if number % 3 else "did they"
        when = _WHEN[int(rng.integers(len(_WHEN)))] if number % 4 == 3 else ""
        asked.append(Question(f"When {who} {' and the '.join(_VOCABULARY[ranks])}{when}?", vectors[number]))
    return asked


def _vectors(rng: np.random.Generator, topics: NDArray[np.int64]) -> Array:
    points = _CENTRES[topics] + 0.9 * rng.standard_normal((len(topics), 48), dtype=np.float32)
    made = points @ _BASIS + 0.25 * rng.standard_normal((len(topics), DIMENSIONS), dtype=np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def _contents(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of 8 to 16 words, a stop word before each."""
    lengths = rng.integers(8, 17, count)
    words = _VOCABULARY[np.searchsorted(_FREQUENT, rng.random(lengths.sum()) * _FREQUENT[-1])].tolist()
    stop_words = _STOP_WORDS.split()
    stops = rng.integers(0, len(stop_words), len(words)).tolist()
    spoken = [f"{stop_words[stop]} {word}" for stop, word in zip(stops, words, strict=True)]
    ends = np.cumsum(lengths).tolist()
    return [" ".join(spoken[start:end]).capitalize() + "." for start, end in zip([0, *ends], ends, strict=False)]

"""What is said of a reranker that is left alone for a while."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from memory_grpc.operations.search.rerank import Rerank
from memory_grpc.reranking import RerankFailed, RerankPaused


class Failing:
    """Fails once, and is left alone from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def scores(self, query: str, texts: Sequence[str], seconds: float) -> list[float]:
        self.asked += 1
        raise RerankFailed("It is down.") if self.asked == 1 else RerankPaused("It is left alone.")

    async def close(self) -> None:
        pass


@pytest.mark.asyncio
async def test_what_led_to_it_is_said_once_and_not_by_every_search() -> None:
    reranker = Failing()
    rerank = Rerank(reranker, 1.0)
    with capture_logs() as logs:
        assert [await rerank._scores("query", ["text"]) for _ in range(4)] == [None] * 4
    assert reranker.asked == 4
    assert [line["reason"] for line in logs] == ["It is down."]

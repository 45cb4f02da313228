"""What unit tests of things that wait stand on."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from tests.unit.clock import Clock


@pytest_asyncio.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the test's event loop; it stands still but for ``pass_``."""
    clock = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock.now)
    return clock

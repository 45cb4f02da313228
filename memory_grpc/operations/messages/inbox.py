"""The inbox of a stream: what was read and is not worked on yet, bounded in messages and in bytes."""

from __future__ import annotations

import asyncio

from memory_grpc.domain.messages import NewMessage

# What ends a stream: None, or why.
Item = NewMessage | Exception | None


class Inbox:
    """For one who reads and one who takes. A message of any size goes in where there is room for a byte."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._queue: asyncio.Queue[Item] = asyncio.Queue(most)
        self._most_bytes = most_bytes
        self._room = asyncio.Event()
        self.bytes = 0
        """Of the messages inside, as they were sent."""

    async def put(self, item: Item) -> None:
        """Waits for room: who sends is slowed down meanwhile."""
        while self.bytes >= self._most_bytes:
            self._room.clear()
            await self._room.wait()
        self.bytes += _size(item)
        await self._queue.put(item)

    async def get(self) -> Item:
        """The next, once there is one."""
        return self._taken(await self._queue.get())

    def get_nowait(self) -> Item:
        """The next, where ``is_empty`` says that there is one."""
        return self._taken(self._queue.get_nowait())

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._queue.empty()

    def _taken(self, item: Item) -> Item:
        self.bytes -= _size(item)
        self._room.set()
        return item


def _size(item: Item) -> int:
    return item.size if isinstance(item, NewMessage) else 0

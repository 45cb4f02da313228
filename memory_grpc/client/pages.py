"""Lists that the service returns page by page, as iterators over their items."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

Page = TypeVar("Page")
Item = TypeVar("Item")


def kept(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for every page: what is gone once it was read, as a generator, is read into a list."""
    return {name: list(value) if isinstance(value, Iterator) else value for name, value in arguments.items()}


class Pages(Generic[Page, Item]):
    """Iterates over every item of a list; pages are fetched as needed.

    Each iteration starts again at the first page. ``pages()`` returns the pages themselves, with their other fields.
    """

    def __init__(self, fetch: Callable[[str | None], Page], items: str) -> None:
        self._fetch = fetch
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from getattr(page, self._items)

    def pages(self) -> Iterator[Page]:
        """The pages, one call each."""
        token: str | None = None
        while True:
            page = self._fetch(token)
            yield page
            token = cast(Any, page).next_page_token
            if not token:
                return


class AsyncPages(Generic[Page, Item]):
    """The same for ``async for``."""

    def __init__(self, fetch: Callable[[str | None], Awaitable[Page]], items: str) -> None:
        self._fetch = fetch
        self._items = items

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in getattr(page, self._items):
                yield item

    async def pages(self) -> AsyncIterator[Page]:
        """The pages, one call each."""
        token: str | None = None
        while True:
            page = await self._fetch(token)
            yield page
            token = cast(Any, page).next_page_token
            if not token:
                return

"""A LangGraph store on the memory service: ``MemoryStore``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    validate_op_namespace,
)

from memory_grpc.client import MemoryClient
from memory_grpc.integrations import langgraph_items as items
from memory_grpc.integrations.langgraph_filters import matches, translated
from memory_grpc.integrations.langgraph_items import Namespace
from memory_grpc.integrations.langgraph_messages import Kept

_MOST_HITS = 1000
_PAGE = 200


class MemoryStore(BaseStore):
    """A LangGraph store that keeps its items as messages of one tenant.

    A namespace is a conversation, and a value is metadata (at most 16 KB); searches compare the text at ``fields``. A
    put under the same namespace and key changes the message and keeps its previous state as a revision; a delete erases
    it. Items are pinned, so that retention leaves them alone.

    ::

        store = MemoryStore(MemoryClient("http://127.0.0.1:8000", tenant_id="acme-store"), fields=["text"])
        store.put(("memories", "ann"), "food", {"text": "I love pizza"})
        store.search(("memories",), query="What should I cook?")
    """

    __slots__ = ("_client", "_kept", "_tenant_id")

    def __init__(
        self,
        client: MemoryClient,
        *,
        tenant_id: str | None = None,
        fields: Iterable[str] = ("$",),
        user_of: Callable[[Namespace], str | None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Makes no call yet.

        Args:
            client: May be shared, also by threads.
            tenant_id: The tenant, if it is not the client's own. Use one that holds nothing else.
            fields: Paths of the text that searches compare, unless a put gives its own; ``$`` is the whole value.
            user_of: The user of an item, from its namespace, so that a user can be forgotten. Without it, items belong
                to nobody.
            clock: The time of a put that changes an item.
        """
        self._client = client
        self._tenant_id = tenant_id
        self._kept = Kept(client, tenant_id, tuple(fields), user_of or (lambda _: None), clock)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Reads come first. Of several puts of one item, the last one counts."""
        ops = list(ops)
        for op in ops:
            validate_op_namespace(op)
        results = [self._read(op) for op in ops]
        puts = {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        for put in puts.values():
            self._kept.put(put)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same, in a thread, so that the event loop is not blocked."""
        return await asyncio.to_thread(self.batch, list(ops))

    def _read(self, op: Op) -> Result:
        if isinstance(op, GetOp):
            return self._get(op)
        if isinstance(op, SearchOp):
            return list(islice(self._search(op), max(op.offset, 0), max(op.offset, 0) + max(op.limit, 0)))
        if isinstance(op, ListNamespacesOp):
            return self._list_namespaces(op)
        if isinstance(op, PutOp):
            return None
        raise ValueError(f"Unknown operation type: {type(op).__name__}")

    def _get(self, op: GetOp) -> Item | None:
        message = next(self._kept.find(op.namespace, op.key), None)
        return None if message is None else items.item(message)

    def _search(self, op: SearchOp) -> Iterator[SearchItem]:
        terms, is_whole = translated(op.filter or {})
        condition = " AND ".join([items.under(op.namespace_prefix), *terms])
        seen = set()
        for one in self._ranked(op, condition, is_whole) if op.query else self._listed(condition):
            if (one.namespace, one.key) not in seen and (is_whole or matches(one.value, op.filter)):
                seen.add((one.namespace, one.key))
                yield one

    def _ranked(self, op: SearchOp, condition: str, is_whole: bool) -> Iterator[SearchItem]:
        response = self._client.search_memories(
            tenant_id=self._tenant_id,
            query=op.query or "",
            filter=f"{condition} AND {items.SEARCHED}",
            top_k=max(1, min(op.offset + op.limit, _MOST_HITS)) if is_whole else _MOST_HITS,
            include_archived=True,
        )
        return map(items.found, response.items)

    def _listed(self, condition: str) -> Iterator[SearchItem]:
        pages = self._client.list_messages(
            tenant_id=self._tenant_id,
            filter=condition,
            include_archived=True,
            order_by="created_at desc",
            page_size=_PAGE,
        )
        return map(items.listed, pages)

    def _list_namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        namespaces = {
            namespace[: op.max_depth]
            for namespace in self._namespaces()
            if all(_fits(condition, namespace) for condition in op.match_conditions or ())
        }
        return sorted(namespaces)[op.offset : op.offset + op.limit]

    def _namespaces(self) -> Iterator[Namespace]:
        for one in self._client.list_conversations(tenant_id=self._tenant_id, page_size=1000):
            namespace = items.namespace_of(one.conversation_id)
            if namespace is None and items.is_store(one.conversation_id):
                pages = self._client.list_messages(
                    tenant_id=self._tenant_id,
                    conversation_id=one.conversation_id,
                    include_archived=True,
                    page_size=1,
                )
                namespace = next((items.item(message).namespace for message in pages), None)
            if namespace is not None:
                yield namespace


def _fits(condition: MatchCondition, namespace: Namespace) -> bool:
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"Unsupported match type: {condition.match_type}")
    labels = namespace[: len(path)] if condition.match_type == "prefix" else namespace[-len(path) :]
    return len(labels) == len(path) and all(wanted in ("*", label) for label, wanted in zip(labels, path, strict=True))

"""The adapters for LangGraph and LangChain on the real service with the real model: LangChain's own tests of a
retriever, and LangGraph's own store as the measure of ours."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests
from langgraph.store.base import BaseStore, GetOp, InvalidNamespaceError, ListNamespacesOp, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from memory_grpc.client import MemoryClient
from memory_grpc.integrations.langchain import MemoryChatMessageHistory, MemoryRetriever
from memory_grpc.integrations.langgraph import MemoryStore
from tests.e2e.test_workflow import Up, running
from tests.unit.test_documents import programs


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("integrations")) as started:
        yield started


@pytest.fixture(scope="module")
def memory(up: Up) -> Iterator[MemoryClient]:
    with MemoryClient(f"http://127.0.0.1:{up.port}", tenant_id="acme") as client:
        yield client


def test_the_page_runs_as_it_stands(up: Up, capsys: pytest.CaptureFixture[str]):
    source = programs("docs/integrations.md")
    assert "127.0.0.1:8000" in source
    names: dict[str, Any] = {}
    exec(compile(source.replace("127.0.0.1:8000", f"127.0.0.1:{up.port}"), "page", "exec"), names)
    names["client"].close()
    food, hit, *said = capsys.readouterr().out.splitlines()
    assert food.startswith("food I am allergic to peanuts ")
    assert hit.endswith("I love Python programming")
    assert said == ["human My sister lives in Oslo", "ai Noted!"]


# -- LangGraph


def store_of(memory: MemoryClient, request: pytest.FixtureRequest, **options: Any) -> MemoryStore:
    """A store of the test's own."""
    return MemoryStore(memory, tenant_id=request.node.name[:64], **options)


def values(found: list[Any]) -> set[str]:
    return {f"{one.namespace}/{one.key}={json.dumps(one.value, sort_keys=True)}" for one in found}


def both(store: BaseStore, *ops: Any) -> list[Any]:
    """The results as they compare between stores: times differ, and so does the order of a search without a query."""
    compared: list[Any] = []
    for op, result in zip(ops, store.batch(ops), strict=True):
        if isinstance(op, SearchOp):
            compared.append(values(result))
        elif isinstance(op, GetOp):
            compared.append(result and (result.namespace, result.key, result.value))
        else:
            compared.append(result)
    return compared


LONG = ("long" * 20, "longer" * 10)
NAMESPACES = (("a",), ("a", "b"), ("a", "b", "c"), ("ab",), ("é*'\"", "#1"), ("#",), LONG)
FILTERS: tuple[Any, ...] = (
    {"color": "red"},
    {"n": {"$gte": 1, "$lt": 3}},
    {"color": {"$ne": "red"}, "n": 2},
    {"deep": {"odd key": True}},
    {"list": [1, "x"]},
    {"none": None},
)


def value(chance: random.Random) -> dict[str, Any]:
    return {
        "color": chance.choice(["red", "blue"]),
        "n": chance.randrange(4),
        "deep": {"odd key": chance.random() < 0.5},
        "list": chance.choice([[1, "x"], [], [2]]),
        "none": chance.choice([None, 0.5]),
    }


def test_a_store_is_as_langgraphs_own(memory: MemoryClient, request: pytest.FixtureRequest):
    ours, theirs, chance = store_of(memory, request), InMemoryStore(), random.Random(7)
    for _ in range(12):
        puts = [
            PutOp(chance.choice(NAMESPACES), chance.choice("xy"), chance.choice([None, *[value(chance)] * 3]))
            for _ in range(3)
        ]
        searches = [
            SearchOp(namespace[: chance.randrange(3)], chance.choice([None, *FILTERS]), limit=100)
            for namespace in chance.sample(NAMESPACES, 2)
        ]
        reads = [GetOp(put.namespace, put.key) for put in puts]
        ops = [*puts, *reads, *searches, ListNamespacesOp(max_depth=chance.choice([None, 1, 2]))]
        # An emptied namespace stays in the list of theirs.
        assert both(ours, *ops[:-1]) == both(theirs, *ops[:-1])
        assert set(ours.list_namespaces(max_depth=ops[-1].max_depth)) <= set(
            theirs.list_namespaces(max_depth=ops[-1].max_depth)
        )
    for wanted in FILTERS:
        everything = SearchOp((), wanted, limit=100)
        assert both(ours, everything) == both(theirs, everything)
    assert values(ours.search((), limit=100)) == values(theirs.search((), limit=100)) != set()
    for namespace in NAMESPACES:
        ours.put(namespace, "x", {})
        theirs.put(namespace, "x", {})
    for conditions in ({}, {"prefix": ("a",)}, {"suffix": ("*", "c")}, {"prefix": ("a", "*")}, {"max_depth": 1}):
        assert ours.list_namespaces(**conditions) == theirs.list_namespaces(**conditions)
    assert ours.list_namespaces(limit=2, offset=1) == theirs.list_namespaces(limit=2, offset=1)


def test_a_store_finds_by_meaning(memory: MemoryClient, request: pytest.FixtureRequest):
    store = store_of(memory, request, fields=["text"])
    store.put(("memories", "ann"), "food", {"text": "I am allergic to peanuts", "kind": "fact"})
    store.put(("memories", "ann"), "pet", {"text": "My cat is called Tom", "kind": "fact"})
    store.put(("memories", "ann"), "plan", {"text": "Buy peanuts", "kind": "task"}, index=False)
    store.put(("memories", "ben"), "food", {"text": "I do not eat shellfish", "kind": "rule"}, index=["text", "kind"])
    first = store.search(("memories", "ann"), query="What must I not eat?", limit=1)
    assert [one.key for one in first] == ["food"] and first[0].score is not None
    pages = [store.search(("memories",), query="eat", limit=2, offset=offset) for offset in (0, 2)]
    assert sorted((one.namespace[1], one.key) for page in pages for one in page) == [
        ("ann", "food"),
        ("ann", "pet"),
        ("ben", "food"),
    ]
    facts = store.search((), query="eat", filter={"kind": {"$ne": "fact"}})
    assert [one.namespace for one in facts] == [("memories", "ben")]
    assert store.search(("other",), query="eat") == []

    before = store.get(("memories", "ann"), "pet")
    store.put(("memories", "ann"), "pet", {"text": "My dog is called Rex"})
    after = store.get(("memories", "ann"), "pet")
    assert before is not None and after is not None
    assert (after.value, after.created_at) == ({"text": "My dog is called Rex"}, before.created_at)
    assert before.updated_at == before.created_at < after.updated_at
    (found,) = store.search(("memories", "ann"), query="Rex", limit=1)
    assert (found.updated_at, found.value) == (after.updated_at, after.value)
    store.delete(("memories", "ann"), "pet")
    store.put(("memories", "ann"), "pet", {"text": "none any more"})  # under the same request once more
    store.put(("memories", "ann"), "pet", {"text": "none any more"})
    assert len(store.search(("memories", "ann"), query="pet")) == 2


def test_those_who_put_an_item_at_once_make_one(memory: MemoryClient, request: pytest.FixtureRequest):
    store = store_of(memory, request)
    start = threading.Barrier(6)

    def put(number: int) -> None:
        start.wait()
        store.put(("race",), "item", {"by": number})

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages = list(memory.list_messages(tenant_id=store._tenant_id, include_archived=True))
    assert len(messages) == 1
    assert messages[0].pinned
    assert store.search(("race",))[0].value["by"] in range(6)


def test_a_store_works_under_asyncio_and_refuses_what_it_cannot_keep(
    memory: MemoryClient, request: pytest.FixtureRequest
):
    store = store_of(memory, request, user_of=lambda namespace: namespace[-1])

    async def use() -> Any:
        await asyncio.gather(*(store.aput(("n", "ann"), f"k{n}", {"n": n}) for n in range(3)))
        await store.adelete(("n", "ann"), "k0")
        return await store.asearch(("n",)), await store.aget(("n", "ann"), "k1"), await store.alist_namespaces()

    found, item, namespaces = asyncio.run(use())
    assert ({one.key for one in found}, item.value, namespaces) == ({"k1", "k2"}, {"n": 1}, [("n", "ann")])
    users = list(memory.list_users(tenant_id=store._tenant_id))
    assert [(user.user_id, user.message_count) for user in users] == [("ann", 2)]
    with pytest.raises(InvalidNamespaceError):
        store.batch([PutOp(("a.b",), "k", {})])
    with pytest.raises(TypeError, match="JSON"):
        store.put(("n",), "k", {"when": object()})
    with pytest.raises(ValueError, match="Unsupported operator"):
        store.search(("n",), filter={"n": {"$near": 1}})
    with pytest.raises(NotImplementedError, match="TTL"):
        store.put(("n",), "k", {}, ttl=1)


# -- LangChain


# Their suite runs with asyncio_mode=auto, and forbids to override a test.
pytest.mark.asyncio(RetrieversIntegrationTests.test_ainvoke_returns_documents)


class TestRetriever(RetrieversIntegrationTests):
    """LangChain's own tests of a retriever."""

    memory: MemoryClient

    @pytest.fixture(autouse=True)
    def _remembered(self, memory: MemoryClient) -> None:
        type(self).memory = memory
        if not memory.recall("pets", user_id="retrieved", top_k=1):
            for text in ("I have a cat", "I have a dog", "I like tea", "I live in Porto"):
                memory.remember(text, user_id="retrieved", conversation_id="c")

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return MemoryRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"client": self.memory, "user_id": "retrieved"}

    @property
    def retriever_query_example(self) -> str:
        return "Which pets do I have?"


def test_a_retriever_keeps_to_its_user(memory: MemoryClient):
    own = memory.remember("My sister lives in Oslo", user_id="r-ann", conversation_id="c", metadata={"topic": "family"})
    memory.remember("My sister lives in Rome", user_id="r-ben", conversation_id="c")
    (document,) = MemoryRetriever(client=memory, user_id="r-ann").invoke("Where does my sister live?")
    assert (document.id, document.page_content) == (own.id, "My sister lives in Oslo")
    assert document.metadata["metadata"] == {"topic": "family"}
    assert MemoryRetriever(client=memory, user_id="r-ann", filter='metadata.topic = "work"').invoke("sister") == []


def test_a_history_reads_what_was_written(memory: MemoryClient):
    said: list[BaseMessage] = [
        SystemMessage("Be brief"),
        HumanMessage("What is the weather in Porto?", name="ann"),
        AIMessage(
            "",
            tool_calls=[{"name": "weather", "args": {"city": "Porto"}, "id": "call-1"}],
            usage_metadata={"input_tokens": 9, "output_tokens": 3, "total_tokens": 12},
        ),
        ToolMessage("sunny, 21 °C", tool_call_id="call-1"),
        AIMessage([{"type": "text", "text": "It is sunny."}, {"type": "image", "url": "https://example.com/sun"}]),
        HumanMessage("Thanks"),
    ]
    history = MemoryChatMessageHistory(memory, "chat-1", user_id="h-ann")
    history.add_messages(said[:3])
    history.add_messages(said[3:])

    def compared(messages: list[BaseMessage]) -> list[Any]:
        return [{**one.model_dump(exclude={"id"}), "class": type(one)} for one in messages]

    assert compared(history.messages) == compared(said)
    assert all(message.id for message in history.messages)
    assert json.dumps(history.messages[2].usage_metadata).count(".") == 0
    assert asyncio.run(history.aget_messages()) == history.messages
    memory.remember("Said elsewhere", user_id="h-ann", conversation_id="chat-1", role="assistant")
    memory.remember("Said by another", user_id="h-ben", conversation_id="chat-1")
    assert history.messages[-1] == AIMessage("Said elsewhere", id=history.messages[-1].id)
    assert memory.recall("How warm is it?", user_id="h-ann", top_k=1)[0].content.startswith("sunny")
    history.clear()
    assert history.messages == []
    rest = MemoryChatMessageHistory(memory, "chat-1").messages
    assert [message.content for message in rest] == ["Said by another"]

"""RPCs as methods of the Python clients: the same ones for threads and for asyncio, from one description."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tools.codegen.comments import summary
from tools.codegen.contract import Contract, Field, MessageType, Rpc
from tools.codegen.problem import CodegenError
from tools.codegen.python_types import argument, docstring, parts_of, single

_TIMEOUT = ("timeout", "Seconds for the call, including all its attempts; the client's default when not given.")
_FOR_EVER = ("timeout", "Seconds for the stream, including all its attempts; no limit when not given.")
_MARK = "Written by `make gen` from the protos; do not edit."


@dataclass(frozen=True, slots=True)
class Flavour:
    """What differs between the two clients."""

    class_name: str
    doc: str
    define: str
    wait: str
    iterable: str
    iterator: str
    pages: str


SYNC = Flavour("Calls", "Every RPC as a method.", "def", "", "Iterable", "Iterator", "Pages")
ASYNC = Flavour(
    "AsyncCalls",
    "Every RPC as a coroutine; lists and streams are for ``async for``.",
    "async def",
    "await ",
    "AsyncIterable",
    "AsyncIterator",
    "AsyncPages",
)


@dataclass(frozen=True, slots=True)
class Everyday:
    """A call of a chatbot's loop: another name for an RPC, the text first, and maybe only a part of the answer."""

    name: str
    rpc: str
    first: str
    doc: str
    defaults: tuple[tuple[str, str], ...] = ()
    picks: str = ""


EVERYDAY = (
    Everyday(
        "remember",
        "MemoryService.IngestMessage",
        "content",
        "Stores what was said, by the user unless `role` says otherwise. The same as `ingest_message`.",
        defaults=(("role", '"user"'),),
    ),
    Everyday(
        "recall",
        "MemoryService.SearchMemories",
        "query",
        "Returns the messages that best match a question, best first: the `items` of `search_memories`.",
        picks="items",
    ),
    Everyday(
        "context",
        "MemoryService.BuildContext",
        "query",
        "Returns what a prompt needs within a token budget, as messages and as `text`. The same as `build_context`.",
    ),
)


def rpcs_module(contract: Contract) -> str:
    """The module ``memory_layer.client.rpcs``: what both clients call."""
    lines = [
        f'"""The RPCs, by their paths and what they answer with. {_MARK}"""',
        "",
        "from memory_grpc.client.rpc import Rpc",
    ]
    lines += ["from memory_layer.client import types", ""]
    for rpc in _rpcs(contract):
        path = f"/{rpc.request.rpartition('.')[0]}.{rpc.service}/{rpc.name}"
        lines.append(f'{method_name(rpc).upper().rstrip("_")} = Rpc("{path}", types.{rpc.response.rpartition(".")[2]})')
    return "\n".join(lines) + "\n"


def calls_module(contract: Contract, flavour: Flavour) -> str:
    """The module with the class that a client inherits its methods from."""
    abc = ", ".join(sorted({"Iterable", flavour.iterable, flavour.iterator, "Mapping"}))
    lines = [
        f'"""{flavour.doc} {_MARK}"""',
        "",
        "from __future__ import annotations",
        "",
        f"from collections.abc import {abc}",
        "from datetime import datetime",
        "from typing import Any, TypeVar",
        "",
        f"from memory_grpc.client.pages import {flavour.pages}",
        "from memory_grpc.client.rpc import Rpc",
        "from memory_layer.client import rpcs, types",
        "",
        'T = TypeVar("T")',
        'I = TypeVar("I")',
        "",
        "",
        f"class {flavour.class_name}:",
        f'    """{flavour.doc}"""',
        "",
        f"    {flavour.define} _call(self, rpc: Rpc[T], arguments: Mapping[str, Any], timeout: float | None) -> T:",
        "        raise NotImplementedError",
        "",
        "    def _pages(",
        "        self, rpc: Rpc[T], items: str, item: type[I], arguments: Mapping[str, Any], timeout: float | None",
        f"    ) -> {flavour.pages}[T, I]:",
        "        raise NotImplementedError",
        "",
        "    def _stream(",
        "        self, rpc: Rpc[T], arguments: Mapping[str, Any], timeout: float | None",
        f"    ) -> {flavour.iterator}[T]:",
        "        raise NotImplementedError",
        "",
        "    def _exchange(",
        f"        self, rpc: Rpc[T], field: str, requests: {flavour.iterable}[Any], timeout: float | None",
        f"    ) -> {flavour.iterator}[T]:",
        "        raise NotImplementedError",
    ]
    for everyday in EVERYDAY:
        if everyday.rpc in contract.rpcs:
            lines += ["", *_everyday(contract, everyday, flavour)]
    for rpc in _rpcs(contract):
        lines += ["", *_method(contract, rpc, flavour)]
    return "\n".join(lines) + "\n"


def method_name(rpc: Rpc) -> str:
    """``ListMessages`` as ``list_messages``; with an underscore behind it where that is a word of Python's own."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", rpc.name).lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def _rpcs(contract: Contract) -> list[Rpc]:
    """Every RPC. Raises CodegenError where two services have one of the same name."""
    found = list(contract.rpcs.values())
    names = [method_name(rpc) for rpc in found] + [everyday.name for everyday in EVERYDAY]
    for name in names:
        if names.count(name) > 1:
            raise CodegenError(f"two RPCs would be the client's method {name}: name one of them otherwise.")
    return found


def _method(contract: Contract, rpc: Rpc, flavour: Flavour) -> Iterator[str]:
    request, response = contract.messages[rpc.request], contract.messages[rpc.response]
    constant, answer = f"rpcs.{method_name(rpc).upper().rstrip('_')}", f"types.{response.name}"
    values = [f"            {field.name}={field.name}," for field in request.fields]
    comment = rpc.comment
    if rpc.client_streaming:
        (field,) = request.fields
        signature = f"{field.name}s: {flavour.iterable}[{single(field, 'types.')}]"
        yield from _signature("def", method_name(rpc), [signature, "*"], f"{flavour.iterator}[{answer}]")
        yield from docstring(comment, "        ", [(f"{field.name}s", "What to send."), _FOR_EVER])
        yield f'        return self._exchange({constant}, "{field.name}", {field.name}s, timeout)'
        return
    arguments = _arguments(request.fields)
    if (items := paged(request, response)) is not None:
        item = single(items, "types.")
        yield from _signature("def", method_name(rpc), ["*", *arguments], f"{flavour.pages}[{answer}, {item}]")
        call, define = f'self._pages({constant}, "{items.name}", {item}, arguments, timeout)', "return"
    elif rpc.server_streaming:
        yield from _signature("def", method_name(rpc), ["*", *arguments], f"{flavour.iterator}[{answer}]")
        call, define = f"self._stream({constant}, arguments, timeout)", "return"
    else:
        yield from _signature(flavour.define, method_name(rpc), ["*", *arguments] if arguments else ["*"], answer)
        call, define = f"self._call({constant}, arguments, timeout)", f"return {flavour.wait}".rstrip()
    yield from _documented(comment, _ordered(list(request.fields)), _FOR_EVER if rpc.server_streaming else _TIMEOUT)
    yield "        arguments: dict[str, Any] = dict("
    yield from values
    yield "        )"
    yield f"        {define} {call}"


def _everyday(contract: Contract, everyday: Everyday, flavour: Flavour) -> Iterator[str]:
    rpc = contract.rpcs[everyday.rpc]
    request, response = contract.messages[rpc.request], contract.messages[rpc.response]
    defaults = dict(everyday.defaults)
    (first,) = (field for field in request.fields if field.name == everyday.first)
    others = [field for field in request.fields if field is not first]
    arguments = [
        f"{argument(field)} = {defaults[field.name]}" if field.name in defaults else argument(field)
        for field in _ordered(others, frozenset(defaults))
    ]
    answer = f"types.{response.name}"
    if everyday.picks:
        (picked,) = (field for field in response.fields if field.name == everyday.picks)
        answer = f"tuple[{single(picked, 'types.')}, ...]"
    yield from _signature(flavour.define, everyday.name, [argument(first), "*", *arguments], answer)
    yield from _documented(everyday.doc, [first, *_ordered(others, frozenset(defaults))])
    yield f"        found = {flavour.wait}self.{method_name(rpc)}("
    for field in request.fields:
        yield f"            {field.name}={field.name},"
    yield "            timeout=timeout,"
    yield "        )"
    yield f"        return found.{everyday.picks}" if everyday.picks else "        return found"


def paged(request: MessageType, response: MessageType) -> Field | None:
    """The list of a response that comes page by page; None where it does not."""
    if {"page_token"} - {field.name for field in request.fields}:
        return None
    lists = [field for field in response.fields if field.repeated and field.type_name in parts_of(response)]
    return lists[0] if len(lists) == 1 else None


def _ordered(fields: list[Field], optional: frozenset[str] = frozenset()) -> list[Field]:
    """What has to be given first."""
    return sorted(fields, key=lambda field: " = " in argument(field) or field.name in optional)


def _arguments(fields: tuple[Field, ...]) -> list[str]:
    return [argument(field) for field in _ordered(list(fields))]


def _signature(define: str, name: str, arguments: list[str], answer: str) -> Iterator[str]:
    if any(re.match(r"(self|timeout|arguments)\b", one) for one in arguments):
        raise CodegenError(f"{name}: a field is called as what every method of the client has besides.")
    yield f"    {define} {name}("
    yield "        self,"
    for one in [*arguments, "timeout: float | None = None"]:
        yield f"        {one},"
    yield f"    ) -> {answer}:"


def _documented(comment: str, fields: Iterable[Field], timeout: tuple[str, str] = _TIMEOUT) -> list[str]:
    """A method's docstring: the comment, and a line about each argument."""
    said = [(field.name, f"{summary(field.comment)}.") for field in fields if field.comment]
    return docstring(comment, "        ", [*said, timeout])

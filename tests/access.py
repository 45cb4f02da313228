"""Calls of every RPC, made from the descriptors: over gRPC, and over REST with identifiers in every place."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

import grpc
import httpx
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import MessageToJson, ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from memory_grpc.rpcs import METHODS
from memory_layer.v1 import access_pb2, errors_pb2, limits_pb2, rpc_pb2
from tests.grpc_web import framed, unframed

Body = dict[str, Any]
VARIABLE = re.compile(r"\{([a-z_]+)\}")
# HTTP statuses of the codes that refuse a call.
HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
}
CODES = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass(frozen=True)
class Rpc:
    """An RPC as its descriptor has it."""

    method: MethodDescriptor

    @property
    def name(self) -> str:
        return str(self.method.name)

    @property
    def path(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.name}"

    @property
    def access(self) -> access_pb2.Access:
        return self.method.GetOptions().Extensions[rpc_pb2.rpc].access

    def may_say(self, reason: str) -> bool:
        """Whether the contract says that a call can fail for this reason."""
        number = errors_pb2.ErrorReason.Value(f"ERROR_REASON_{reason}")
        value = errors_pb2.ErrorReason.DESCRIPTOR.values_by_number[number]
        declared = self.method.GetOptions().Extensions[rpc_pb2.rpc].reasons
        return value.GetOptions().Extensions[errors_pb2.any_call] or number in declared

    @property
    def bindings(self) -> list[tuple[str, str, str]]:
        """Verb, path and body of each REST path."""
        rule = self.method.GetOptions().Extensions[annotations_pb2.http]
        found = [(item.WhichOneof("pattern"), item) for item in (rule, *rule.additional_bindings)]
        return [(verb, getattr(item, verb), item.body) for verb, item in found if verb]

    @property
    def names_tenants(self) -> bool:
        """Whether a request can name a tenant, at any depth."""
        return "tenant_id" in fields(self.method.input_type)

    @property
    def may_omit_tenant(self) -> bool:
        """Whether a request is valid that names no tenant where it could."""
        own = self.method.input_type.fields_by_name.get("tenant_id")
        return own is not None and not own.GetOptions().Extensions[limits_pb2.limits].required


RPCS = [Rpc(method) for method in METHODS.values()]


def fields(descriptor: Descriptor) -> Iterator[str]:
    """The names of all fields of a message and of the messages of the contract within it."""
    for item in descriptor.fields:
        yield item.name
        if item.message_type is not None and item.message_type.full_name.startswith("memory_layer."):
            yield from fields(item.message_type)


def request(descriptor: Descriptor, values: Body) -> Body:
    """The least that the contract accepts, with these values for the fields of these names, at any depth."""
    found: Body = {}
    for item in descriptor.fields:
        limits = item.GetOptions().Extensions[limits_pb2.limits]
        if item.name in values:
            found[item.name] = values[item.name]
        # Import wants messages or revisions, which no limit says.
        elif limits.required or limits.min_items or item.full_name.endswith(".ImportRequest.messages"):
            found[item.name] = _example(item, limits, values)
    return found


def _example(item: FieldDescriptor, limits: Any, values: Body) -> Any:
    if item.message_type is not None and item.message_type.full_name.startswith("memory_layer."):
        inner = request(item.message_type, values)
        return [inner] if item.is_repeated else inner
    return json.loads(limits.example)


@dataclass(frozen=True)
class Outcome:
    """What came back: OK or the code's name, the reason, the text, and all of it for whoever looks for a leak."""

    code: str
    reason: str = ""
    text: str = ""
    everything: str = ""


# Makes the call with this key (or none) and says what came back.
Send = Callable[[str | None], Any]


@dataclass(frozen=True)
class Place:
    """One way to send a request; ``contradicts`` when it names two things at once, which nobody may guess between."""

    name: str
    send: Send
    contradicts: bool = False


@dataclass
class Caller:
    """A server: its gRPC port, and Envoy's for both."""

    direct: grpc.aio.Channel
    envoy: grpc.aio.Channel
    http: httpx.AsyncClient
    seen: list[str] = field(default_factory=list)

    def grpc_places(self, rpc: Rpc, values: Body) -> list[Place]:
        """The message itself, to the server and through Envoy, as browsers send it too."""
        body = request(rpc.method.input_type, values)
        return [
            Place("grpc", self._grpc(self.direct, rpc, body)),
            Place("grpc through Envoy", self._grpc(self.envoy, rpc, body)),
            Place("grpc-web", self._grpc_web(rpc, body)),
        ]

    def rest_places(self, rpc: Rpc, values: Body) -> Iterator[Place]:
        """Path, query and body, as far as each REST path of the RPC has them."""
        for verb, path, body in rpc.bindings:
            rest = request(rpc.method.input_type, values)
            path = self._filled(path, rest)
            if not body:
                yield Place(f"{verb} query" if rest else f"{verb} path", self._rest(verb, path, rest, None))
                continue
            yield Place(f"{verb} body", self._rest(verb, path, {}, rest))
            if flat := {name: rest[name] for name in values if name in rest and isinstance(rest[name], str)}:
                others = {name: value for name, value in rest.items() if name not in flat}
                yield Place(f"{verb} query beside a body", self._rest(verb, path, flat, others))

    def contradictions(self, rpc: Rpc, values: Body, others: Body) -> Iterator[Place]:
        """Two places at once, one with ``values``, the other with ``others``, for each identifier that has two."""
        for verb, path, body in rpc.bindings:
            rest = request(rpc.method.input_type, values)
            in_path = VARIABLE.findall(path)
            filled = self._filled(path, rest)
            query: Body = {} if body else rest
            for name in in_path:
                for spelling in (name, _camel(name)):
                    send = self._rest(verb, filled, {**query, spelling: others[name]}, rest if body else None)
                    yield Place(f"{verb} path and query {spelling}", send, contradicts=True)
                if body:
                    send = self._rest(verb, filled, {}, {**rest, name: others[name]})
                    yield Place(f"{verb} path and body {name}", send, contradicts=True)
            for name in [name for name in others if isinstance(rest.get(name), str)]:
                if rpc.method.input_type.fields_by_name[name].message_type is not None:
                    continue  # a time, and no identifier
                if body:
                    send = self._rest(verb, filled, {name: others[name]}, rest)
                    yield Place(f"{verb} query and body {name}", send, contradicts=True)
                for spelling in (name, _camel(name)):
                    pairs = (
                        [*query.items(), (spelling, others[name])]
                        if not body
                        else [(name, rest[name]), (spelling, others[name])]
                    )
                    without = {key: value for key, value in rest.items() if key != name} if body else None
                    send = self._rest(verb, filled, pairs, without)
                    yield Place(f"{verb} query twice {spelling}", send, contradicts=True)

    def _filled(self, path: str, rest: Body) -> str:
        """The path with its variables, which leave ``rest``."""
        return VARIABLE.sub(lambda found: quote(str(rest.pop(found[1])), safe=""), path)

    def _rest(self, verb: str, path: str, query: Any, body: Body | None) -> Send:
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path

        async def send(key: str | None) -> Outcome:
            headers = dict(shown(key))
            response = await self.http.request(verb.upper(), target, json=body, headers=headers)
            told = {n: v for n, v in response.headers.items() if n not in ("x-request-id", "date", "content-length")}
            everything = f"{response.status_code} {sorted(told.items())} {response.text}"
            if response.status_code < 300:
                return Outcome("OK", everything=everything)
            error = response.json()
            code = CODES[error["code"]]
            assert response.status_code == HTTP.get(code), everything
            return Outcome(code, error["details"][0]["reason"], error["message"], everything)

        return send

    def _grpc(self, channel: grpc.aio.Channel, rpc: Rpc, body: Body) -> Send:
        message = ParseDict(body, GetMessageClass(rpc.method.input_type)())
        answer = GetMessageClass(rpc.method.output_type)
        made = {(True, True): channel.stream_stream, (False, True): channel.unary_stream}
        make = made.get((rpc.method.client_streaming, rpc.method.server_streaming), channel.unary_unary)
        call: Any = make(
            rpc.path, request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer.FromString
        )

        async def send(key: str | None) -> Outcome:
            metadata = shown(key)
            try:
                if rpc.method.server_streaming:
                    sent = iter([message]) if rpc.method.client_streaming else message
                    found = [item async for item in call(sent, metadata=metadata, timeout=30)]
                else:
                    found = [await call(message, metadata=metadata, timeout=30)]
            except grpc.aio.AioRpcError as error:
                return _failure(error)
            return Outcome("OK", everything=" ".join(MessageToJson(item, ensure_ascii=False) for item in found))

        return send

    def _grpc_web(self, rpc: Rpc, body: Body) -> Send:
        content = framed(ParseDict(body, GetMessageClass(rpc.method.input_type)()))
        answer = GetMessageClass(rpc.method.output_type)

        async def send(key: str | None) -> Outcome:
            headers = {"content-type": "application/grpc-web+proto", **dict(shown(key))}
            response = await self.http.post(rpc.path, content=content, headers=headers)
            messages, trailers = unframed(response.content)
            told = dict(response.headers) | trailers
            code = CODES[int(told["grpc-status"])]
            if code == "OK":
                found = [MessageToJson(answer.FromString(item), ensure_ascii=False) for item in messages]
                return Outcome("OK", everything=" ".join(found))
            status = status_pb2.Status.FromString(b64decode(told["grpc-status-details-bin"] + "=="))
            return Outcome(code, _reason(status), unquote(told["grpc-message"]), f"{told} {status}")

        return send


def shown(key: str | None) -> list[tuple[str, str]]:
    """How a key, or a token after its scheme, is sent."""
    if key is None:
        return []
    return [("authorization" if key.startswith("Bearer ") else "x-api-key", key)]


def _failure(error: grpc.aio.AioRpcError) -> Outcome:
    status = rpc_status.from_call(error)
    assert status is not None, f"no details: {error}"
    everything = f"{error.code()} {error.details()} {status} {error.debug_error_string()}"
    return Outcome(error.code().name, _reason(status), str(error.details()), everything)


def _reason(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)

"""Reads a descriptor set into a :class:`~tools.codegen.contract.Contract`.

The set is parsed by its own descriptor pool: options such as ``(limits)`` and ``(google.api.http)`` are extensions, and
a pool only sees those that it knows. The generated limits_pb2 would be one behind whenever limits.proto changes.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

from memory_grpc import limit_rules, rpc_facts
from memory_grpc.limit_rules import FieldKind
from tools.codegen.comments import Comments
from tools.codegen.contract import (
    OWN_PACKAGE,
    Binding,
    Contract,
    EnumValue,
    Field,
    Limits,
    MessageType,
    Rpc,
    Service,
)
from tools.codegen.problem import CodegenError

_Types = descriptor_pb2.FieldDescriptorProto
# Field numbers of descriptor.proto, by which source info addresses what a comment belongs to.
_PACKAGE, _MESSAGE, _ENUM, _SERVICE = 2, 4, 5, 6
_FIELD, _NESTED, _NESTED_ENUM, _VALUE, _METHOD = 2, 3, 4, 2, 2


def read_contract(descriptor_set: bytes) -> Contract:
    """Reads a serialized FileDescriptorSet with source info.

    Raises:
        CodegenError: the set lacks google.api.http or an option of ours, or an RPC does not declare what it is.
    """
    return _Reader(descriptor_set).read()


class _Reader:
    def __init__(self, descriptor_set: bytes) -> None:
        pool = DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set).file:
            pool.AddSerializedFile(file.SerializeToString())
        try:
            self._http: Any = pool.FindExtensionByName("google.api.http")
            self._rpc: Any = pool.FindExtensionByName(f"{OWN_PACKAGE}.rpc")
            self._any_call: Any = pool.FindExtensionByName(f"{OWN_PACKAGE}.any_call")
            self._limits: Any = pool.FindExtensionByName(f"{OWN_PACKAGE}.limits")
            root = pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet")
        except KeyError as missing:
            raise CodegenError(f"the descriptor set is not the contract's: {missing.args[0]}.") from None
        described: Any = message_factory.GetMessageClass(root).FromString(descriptor_set)
        own = [file for file in described.file if file.package == OWN_PACKAGE]
        # The set is in the order of imports; names do not change when an import does.
        self._files = sorted(own, key=lambda file: str(file.name))
        self._messages: dict[str, MessageType] = {}
        self._enums: dict[str, tuple[EnumValue, ...]] = {}

    def read(self) -> Contract:
        services: list[Service] = []
        file_comments: dict[str, str] = {}
        for file in self._files:
            comments = Comments(file)
            file_comments[file.name] = comments.at(_PACKAGE)
            for index, message in enumerate(file.message_type):
                self._read_message(message, f"{file.package}.{message.name}", comments, (_MESSAGE, index))
            for index, enum in enumerate(file.enum_type):
                self._read_enum(enum, f"{file.package}.{enum.name}", comments, (_ENUM, index))
            services += [self._service(item, comments, (_SERVICE, i)) for i, item in enumerate(file.service)]
        # The service of messages first, those of operations after it.
        services.sort(key=lambda service: (all(r.facts.kind in ("admin", "probe") for r in service.rpcs), service.name))
        return Contract(tuple(services), self._messages, self._enums, file_comments)

    def _read_message(self, message: Any, full_name: str, comments: Comments, at: tuple[int, ...]) -> None:
        maps = {f"{full_name}.{nested.name}" for nested in message.nested_type if nested.options.map_entry}
        fields = tuple(self._field(item, comments.at(*at, _FIELD, i)) for i, item in enumerate(message.field))
        for field in fields:
            for fault in limit_rules.faults(_kind(field, maps), field.limits, field.limits.declared):
                raise CodegenError(f"{full_name}.{field.name} {fault}.")
        self._messages[full_name] = MessageType(full_name, comments.at(*at), fields)
        for index, nested in enumerate(message.nested_type):
            self._read_message(nested, f"{full_name}.{nested.name}", comments, (*at, _NESTED, index))
        for index, enum in enumerate(message.enum_type):
            self._read_enum(enum, f"{full_name}.{enum.name}", comments, (*at, _NESTED_ENUM, index))

    def _read_enum(self, enum: Any, full_name: str, comments: Comments, at: tuple[int, ...]) -> None:
        self._enums[full_name] = tuple(
            EnumValue(value.name, value.number, comments.at(*at, _VALUE, i), value.options.Extensions[self._any_call])
            for i, value in enumerate(enum.value)
        )

    def _field(self, item: Any, comment: str) -> Field:
        return Field(
            name=item.name,
            type=_Types.Type.Name(item.type).removeprefix("TYPE_").lower(),
            type_name=item.type_name.removeprefix("."),
            repeated=item.label == _Types.LABEL_REPEATED,
            # A member of a real oneof is as optional as an `optional` field, which is a oneof of its own.
            optional=item.HasField("oneof_index"),
            comment=comment,
            limits=self._read_limits(item.options.Extensions[self._limits]),
        )

    @staticmethod
    def _read_limits(option: Any) -> Limits:
        return Limits(
            required=option.required,
            min_length=option.min_length,
            max_length=option.max_length,
            one_of=tuple(option.one_of),
            uuid=option.uuid,
            min=option.min if option.HasField("min") else None,
            max=option.max if option.HasField("max") else None,
            min_items=option.min_items,
            max_items=option.max_items,
            max_json_bytes=option.max_json_bytes,
            max_depth=option.max_depth,
            example=option.example,
            path_segment=option.path_segment,
        )

    def _service(self, service: Any, comments: Comments, at: tuple[int, ...]) -> Service:
        rpcs = []
        for index, method in enumerate(service.method):
            rule = method.options.Extensions[self._http]
            bindings = tuple(_binding(item) for item in (rule, *rule.additional_bindings) if item.WhichOneof("pattern"))
            request, response = method.input_type.removeprefix("."), method.output_type.removeprefix(".")
            comment = comments.at(*at, _METHOD, index)
            facts = rpc_facts.read(
                method.options.Extensions[self._rpc], is_streaming=method.client_streaming or method.server_streaming
            )
            for fault in rpc_facts.faults(facts):
                raise CodegenError(f"{service.name}.{method.name} {fault}.")
            streaming = (method.client_streaming, method.server_streaming)
            rpcs.append(Rpc(service.name, method.name, comment, request, response, bindings, facts, *streaming))
        return Service(service.name, comments.at(*at), tuple(rpcs))


def _kind(field: Field, maps: set[str]) -> FieldKind:
    """The field as ``limit_rules`` sees it; a single message always knows whether it is set."""
    return FieldKind(
        type=field.type,
        type_name=field.type_name,
        is_repeated=field.repeated,
        is_map=field.type_name in maps,
        has_presence=not field.repeated and (field.optional or field.type == "message"),
    )


def _binding(rule: Any) -> Binding:
    verb = rule.WhichOneof("pattern")
    if verb == "custom":
        return Binding(rule.custom.kind.lower(), rule.custom.path, rule.body)
    return Binding(verb, getattr(rule, verb), rule.body)

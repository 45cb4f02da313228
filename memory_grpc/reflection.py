"""gRPC reflection under both of its names: grpc ships v1alpha, and tools ask for v1 first.

The two differ in nothing but the package. A tool that is refused under v1 for want of a key, and not for want of the
service, says so to its user instead of falling back.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

_OLD, _NEW = "grpc.reflection.v1alpha", "grpc.reflection.v1"
_METHOD = "ServerReflectionInfo"
V1 = f"{_NEW}.ServerReflection"


def enable(names: Sequence[str], server: grpc.aio.Server) -> None:
    """Adds both services, which list ``names`` and themselves."""
    _ensure_described()
    every = (*names, reflection.SERVICE_NAME, V1)
    reflection.enable_server_reflection(every, server)
    handler = grpc.stream_stream_rpc_method_handler(
        reflection.aio.ReflectionServicer(every).ServerReflectionInfo,  # type: ignore[attr-defined]  # not in the stubs
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(V1, {_METHOD: handler}),))


def _ensure_described() -> None:
    """v1's own descriptor, made of v1alpha's, so that what is listed can be described too."""
    pool = descriptor_pool.Default()
    try:
        pool.FindServiceByName(V1)
    except KeyError:
        new = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
        new.name, new.package = "grpc/reflection/v1/reflection.proto", _NEW
        for message in new.message_type:
            for field in message.field:
                if field.type_name:
                    field.type_name = field.type_name.replace(f".{_OLD}.", f".{_NEW}.")
        for method in new.service[0].method:
            method.input_type = method.input_type.replace(f".{_OLD}.", f".{_NEW}.")
            method.output_type = method.output_type.replace(f".{_OLD}.", f".{_NEW}.")
        pool.AddSerializedFile(new.SerializeToString())

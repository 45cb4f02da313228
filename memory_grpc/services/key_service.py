"""memory_layer.v1.KeyService."""

from __future__ import annotations

from typing import Any, TypeAlias
from uuid import UUID

import grpc

from memory_grpc import access
from memory_grpc.operations.models.registry import Slot
from memory_grpc.services import convert_keys
from memory_grpc.services.convert_page import page_request
from memory_layer.v1 import api_key_pb2
from memory_layer.v1 import key_service_pb2 as pb
from memory_layer.v1 import key_service_pb2_grpc as pb_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class KeyService(pb_grpc.KeyServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        """Makes a key."""
        made, key = await self._slot.operations.keys.create(convert_keys.new_key(request), access.current())
        return pb.CreateApiKeyResponse(key=key, api_key=convert_keys.api_key(made))

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """Lists keys."""
        page = await self._slot.operations.keys.page(page_request(request))
        return pb.ListApiKeysResponse(api_keys=map(convert_keys.api_key, page.rows), next_page_token=page.next_token)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> api_key_pb2.ApiKey:
        """Revokes a key."""
        revoked = await self._slot.operations.keys.revoke(UUID(request.key_id), access.current())
        return convert_keys.api_key(revoked)

"""Paging: a request's ``page_size`` and ``page_token``, and the rest of it as what is listed."""

from __future__ import annotations

from typing import Any

from memory_grpc.paging import PageRequest
from memory_grpc.services.convert import optional

DEFAULT_PAGE_SIZE = 100


def page_request(request: Any, default_size: int = DEFAULT_PAGE_SIZE) -> PageRequest:
    """Which page a valid request asks for; it must have both fields."""
    query = type(request)()
    query.CopyFrom(request)
    query.ClearField("page_size")
    query.ClearField("page_token")
    named = request.DESCRIPTOR.full_name.encode() + b"\0" + query.SerializeToString(deterministic=True)
    return PageRequest(optional(request, "page_size", default_size), request.page_token, named)

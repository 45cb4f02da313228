"""The paths of the HTTP side, as a Starlette application.

It serves a fixed table, read once: no file name is ever made from a request. A connection serves one request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from memory_grpc.observability import console_pages, pages
from memory_grpc.observability.pages import Answer

_METHODS = "GET, HEAD"
_MAX_DRAINED_BYTES = 1 << 16
# gRPC codes, as in every other error body of the service.
_NOT_FOUND, _UNIMPLEMENTED, _INTERNAL = 5, 12, 13

Endpoint = Callable[[Request], Awaitable[Response]]


def application(registry: CollectorRegistry) -> Starlette:
    """Everything that is served, of a registry of metrics.

    Raises:
        StartupError: a page is missing from the installation.
    """
    table = pages.documentation() | console_pages.console()
    app = Starlette(
        routes=[
            Route("/", _home, methods=["GET"]),
            Route("/metrics", _metrics(registry), methods=["GET"]),
            *(Route(path, _page(answer), methods=["GET"]) for path, answer in table.items()),
        ],
        exception_handlers={HTTPException: _refused},
    )
    app.router.redirect_slashes = False
    return app


def _page(answer: Answer) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return _response(answer)

    return endpoint


async def _home(_: Request) -> Response:
    """Leads to the console, on whichever port and name it was asked."""
    return Response(status_code=307, headers={**pages.HEADERS, "Cache-Control": "no-cache", "Location": "/console"})


def _metrics(registry: CollectorRegistry) -> Endpoint:
    """The registry as text, in the format that the scraper asks for."""

    async def endpoint(request: Request) -> Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
        except Exception:  # the library reads versions that clients make up
            encode, content_type = choose_encoder("")
        try:
            answer = Answer(encode(registry), content_type, cache="no-store")
        # A broken collector is a bug to be seen. Its text may hold anything, so only its type is told.
        except Exception as error:
            structlog.get_logger(__name__).error("metrics_failed", error=type(error).__name__)
            return _response(pages.error(_INTERNAL, "metrics cannot be collected"), 500)
        return _response(answer)

    return endpoint


async def _refused(request: Request, refused: Exception) -> Response:
    """What Starlette refuses by itself, in the service's error shape."""
    await _drain(request)
    status = refused.status_code if isinstance(refused, HTTPException) else 500
    if status == 404:
        return _response(pages.error(_NOT_FOUND, "no such path"), status)
    response = _response(pages.error(_UNIMPLEMENTED, f"only {_METHODS} are allowed here"), status)
    response.headers["Allow"] = _METHODS
    return response


async def _drain(request: Request) -> None:
    """Reads a small body that nobody wants: closing over unread bytes resets the connection, answer and all."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and 0 < int(length) <= _MAX_DRAINED_BYTES:
        await request.body()


def _response(answer: Answer, status: int = 200) -> Response:
    headers = {**pages.HEADERS, "Cache-Control": answer.cache, **answer.headers}
    return Response(answer.body, status, headers, media_type=answer.content_type)

"""``memory-grpc health``: whether the service works, for people, scripts and container probes."""

from __future__ import annotations

import asyncio

from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK, UNHEALTHY, CommandError, complain

_MOST_BYTES = 1024 * 1024


def standard_check(target: Target, *, as_json: bool) -> int:
    """The standard gRPC health check, as probes do it."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from memory_grpc.commands.client import connected

    try:
        with connected(target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            response = stub.Check(health_pb2.HealthCheckRequest(), timeout=target.timeout_seconds)
    except CommandError as error:
        raise CommandError(str(error), UNHEALTHY) from None
    except grpc.RpcError as error:
        raise CommandError(str(error.code().name), UNHEALTHY) from None
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
    if as_json:
        from memory_grpc.commands import output

        output.write_json({"status": status})
    else:
        print(status)
    return OK if response.status == health_pb2.HealthCheckResponse.SERVING else UNHEALTHY


def report(target: Target, *, as_json: bool) -> int:
    """AdminService.GetHealth over gRPC."""
    from memory_grpc.commands import output
    from memory_grpc.commands.client import client
    from memory_layer.v1 import admin_service_pb2 as pb

    try:
        with client(target) as service:
            health = service.admin("GetHealth", pb.GetHealthRequest())
    except CommandError as error:
        raise CommandError(str(error), UNHEALTHY) from None
    return _show(output.as_dict(health), target.address, as_json=as_json)


def rest_report(url: str, timeout_seconds: float, *, as_json: bool, is_own: bool = False) -> int:
    """The same over REST, through Envoy. Of this machine's own (``is_own``) the certificate is not looked at.

    It bears the names by which others come, and no key is sent.
    """
    import httpx

    from memory_grpc.whole_answer import Answer, Loop, NoAnswerError, whole_answer

    async def asked() -> Answer:
        # The whole answer has one time limit, and the client none.
        async with httpx.AsyncClient(timeout=None, trust_env=False, verify=not is_own) as client:  # noqa: S113
            where = f"{url.rstrip('/')}/v1/admin/health"
            return await whole_answer(client, "GET", where, seconds=timeout_seconds, most=_MOST_BYTES)

    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            answer = runner.run(asked())
        if answer.status != 200:
            raise CommandError(f"{url} answers {answer.status}.", UNHEALTHY)
        body = answer.json()
    except (NoAnswerError, ValueError):
        raise CommandError(f"No service answers at {url}.", UNHEALTHY) from None
    if not isinstance(body, dict):
        raise CommandError(f"{url} is another service.", UNHEALTHY)
    return _show(body, url, as_json=as_json)


def _show(health: dict[str, object], where: str, *, as_json: bool) -> int:
    from memory_grpc.commands import output

    if as_json:
        output.write_json(health)
    else:
        rows = []
        for name, value in health.items():
            if isinstance(value, dict):
                rows += [(f"{name}.{inner}", str(inner_value)) for inner, inner_value in value.items()]
            else:
                rows.append((name, str(value)))
        output.console().print(output.pairs(where, rows))
    if health.get("status") == "ok":
        return OK
    if not as_json:
        complain("The service is not healthy.")
    return UNHEALTHY

"""``memory-grpc mcp`` before a service without keys: it is not opened to other machines unasked."""

from __future__ import annotations

import json
import signal
from asyncio.subprocess import PIPE

import httpx
import pytest

from tests.cli import Cli
from tests.conftest import RunningServer, StartServer, free_port

OPTIONS = ("mcp", "--tenant", "acme", "--user", "ann", "--transport", "http", "--port", "0")


@pytest.mark.asyncio
async def test_an_open_service_is_not_shown_to_other_machines(server: RunningServer, cli: Cli):
    everywhere = ("--host", "0.0.0.0", "--allow-host", "box.example", "--address", server.grpc_address)
    done = await cli(*OPTIONS, *everywhere)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("The memory service asks for no API key, so anyone")
    process = await cli.start(*OPTIONS, *everywhere, "--allow-unauthenticated")
    assert process.stdout is not None
    said = await process.stdout.readline()
    assert said.startswith(b"MCP at http://0.0.0.0:")
    process.terminate()
    await process.communicate()
    assert process.returncode == 0


@pytest.mark.asyncio
async def test_ctrl_c_and_the_end_of_input_end_it(cli: Cli):
    at_terminal, piped = [await cli.start("mcp", "--tenant", "acme", "--user", "ann", stdin=PIPE) for _ in range(2)]
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for process in (at_terminal, piped):
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{json.dumps(hello)}\n".encode())
        assert (await process.stdout.readline()).startswith(b"{")
    at_terminal.send_signal(signal.SIGINT)
    assert await at_terminal.wait() == -signal.SIGINT
    assert piped.stdin is not None
    piped.stdin.close()
    out, err = await piped.communicate()
    assert (piped.returncode, out, err) == (0, b"", b"")


@pytest.mark.asyncio
async def test_wrong_usage_is_said_at_the_start(cli: Cli):
    away = f"127.0.0.1:{free_port()}"
    done = await cli(*OPTIONS, "--host", "0.0.0.0", "--allow-unauthenticated")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith("--allow-host: ")
    done = await cli(*OPTIONS, "--host", "0.0.0.0", "--allow-host", "x", "--address", away)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"No server answers at {away}")
    for host in ("", "127.1", "http://localhost"):
        done = await cli(*OPTIONS, "--host", host, "--allow-host", "x", "--allow-unauthenticated")
        assert done.code == 2
        assert "neither an IP address nor a host name" in done.err
    (cli.folder / "empty").write_text("\n")
    done = await cli("mcp", "--tenant", "acme", "--user", "ann", "--api-key-file", "empty")
    assert (done.code, done.err) == (2, "--api-key-file: empty is to hold a key, on one line.\n")


@pytest.mark.asyncio
async def test_one_caller_does_not_use_up_the_rate_limit_of_the_others(start_server: StartServer, cli: Cli):
    search = {"name": "search", "arguments": {"query": "x"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": search}
    async with (
        start_server(global_rate_limit="3/minute", api_keys=["a root key of some length"]) as server,
        cli.tools(server.grpc_address) as url,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
    ):

        async def said(address: str) -> str:
            # As a proxy on this machine says who its client is.
            headers = {"accept": b"application/json, text/event-stream", "x-forwarded-for": address.encode()}
            answer = await http.post(url, json=body, headers=headers)
            return str(answer.json()["result"]["content"][0]["text"])

        hostile = [await said("192.0.2.1") for _ in range(5)]
        assert "needs an API key" in hostile[0] and "too many" in hostile[-1].lower()
        assert "needs an API key" in await said("192.0.2.2")
        assert "needs an API key" in await said("2001:db8::1")
        assert await said("no address, and \u00e9")

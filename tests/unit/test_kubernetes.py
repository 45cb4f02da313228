"""deploy/kubernetes: the manifests are ones that Kubernetes takes, fit each other, the settings and the container."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import memory_grpc
from memory_grpc.local import envoy_config
from memory_grpc.local.envoy import binary
from memory_grpc.rpcs import SERVICES
from memory_grpc.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
OBJECTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
# The oldest that knows all that is used; the checker has no older ones of some kinds.
VERSIONS = ("1.30", "1.37")
TAGS = {"ai-memory-layer": memory_grpc.__version__}


def one(kind: str, name: str = "memory-layer") -> dict[str, Any]:
    (found,) = [o for o in OBJECTS if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


POD = one("Deployment")["spec"]["template"]
JOB = one("Job", "memory-layer-migrate")["spec"]["template"]
SETTINGS: dict[str, str] = one("ConfigMap")["data"]


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = pod["spec"]
    return {container["name"]: container for container in [*spec.get("initContainers", []), *spec["containers"]]}


ALL = {**containers(POD), **containers(JOB)}


def settings() -> Settings:
    """What the processes read, with the secrets filled in."""
    secrets = {"MEMORY_DATABASE_URL": "postgresql://memory@db/memory", "MEMORY_API_KEYS": "a-key-of-sixteen-letters"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (SETTINGS | secrets).items():
            patch.setenv(name, value)
        return Settings(_env_file=None)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda o: f"{o['kind']}-{o['metadata']['name']}")
def test_kubernetes_takes_it(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_this_test_sees_a_field_that_kubernetes_does_not_know() -> None:
    wrong = {**one("Deployment"), "specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_everything_is_in_the_kustomization() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert set(kustomization["resources"]) == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert kustomization["namespace"] == one("Namespace")["metadata"]["name"]
    assert {image["name"]: image["newTag"] for image in kustomization["images"]} == {
        name: tag for name, _, tag in (container["image"].rpartition(":") for container in ALL.values())
    }


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
def test_kubectl_puts_it_together() -> None:
    done = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(list(yaml.safe_load_all(done.stdout))) == len(OBJECTS)


def test_images_are_those_of_compose_and_of_no_registry() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {container["image"] for container in ALL.values()} == {
        compose["server"]["image"],
        compose["envoy"]["image"],
    }
    for container in ALL.values():
        assert "." not in container["image"].split("/")[0].split(":")[0], "a registry's host"
    labels = (ROOT / "Dockerfile").read_text()
    assert f"ARG VERSION={memory_grpc.__version__}\n" in labels
    assert 'org.opencontainers.image.version="${VERSION}"' in labels
    assert len(set(re.findall(r"^FROM (\S+)", labels, re.M))) == 1
    assert re.search(r'base\.name="(\S+)"', labels)[1] in re.findall(r"^FROM (\S+)", labels, re.M)  # type: ignore[index]


def test_settings_are_ones_that_exist_and_secrets_come_by_reference() -> None:
    known = {f"MEMORY_{name.upper()}" for name in Settings.model_fields}
    assert SETTINGS.keys() <= known
    assert settings().envoy_stats_port == 9901
    secrets = set()
    for container in ALL.values():
        for variable in container.get("env", []):
            assert "value" not in variable, variable["name"]
            assert variable["name"] in known
            secrets.add(variable["valueFrom"]["secretKeyRef"]["name"])
    assert secrets == {"memory-layer"}
    assert not [o for o in OBJECTS if o["kind"] == "Secret"], "no secret stands in the repository"
    assert not re.search(r"://\w+:[^@\s]+@", "".join(path.read_text() for path in FOLDER.glob("*")))


def test_nothing_is_root_or_may_become_it_or_writes_where_it_should_not() -> None:
    for pod in (POD, JOB):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
    for name, container in ALL.items():
        context = {"runAsUser": JOB["spec"]["securityContext"]["runAsUser"]} | container["securityContext"]
        assert context["runAsUser"] in (10001, 101), name
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name
    assert "useradd --uid 10001" in (ROOT / "Dockerfile").read_text()


def test_volumes_that_are_mounted_are_there() -> None:
    for pod in (POD, JOB):
        there = {volume["name"] for volume in pod["spec"]["volumes"]}
        used = {mount["name"] for container in containers(pod).values() for mount in container["volumeMounts"]}
        assert used == there


def test_labels_and_ports_lead_to_the_pods() -> None:
    labels = POD["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for c in ALL.values() for port in c.get("ports", [])}
    wanted = settings()
    assert ports == {
        "http": wanted.http_port,
        "grpc": wanted.grpc_port,
        "metrics": wanted.metrics_port,
        "envoy-stats": wanted.envoy_stats_port,
    }
    selectors = [one("Deployment")["spec"]["selector"]["matchLabels"]]
    selectors.append(one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    selectors.append(one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    selectors += [spread["labelSelector"]["matchLabels"] for spread in POD["spec"]["topologySpreadConstraints"]]
    for service in ("memory-layer", "memory-layer-metrics"):
        spec = one("Service", service)["spec"]
        selectors.append(spec["selector"])
        for port in spec["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    for selector in selectors:
        assert selector.items() <= labels.items()
    # The job's pod gets no calls.
    assert not one("Service")["spec"]["selector"].items() <= JOB["metadata"]["labels"].items()
    target = one("HorizontalPodAutoscaler")["spec"]
    assert target["scaleTargetRef"]["name"] == one("Deployment")["metadata"]["name"]
    assert target["metrics"][0]["containerResource"]["container"] in containers(POD)
    assert "replicas" not in one("Deployment")["spec"], "the autoscaler's would be set back by every apply"
    opened = {port["port"] for rule in one("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]}
    assert opened == {ports["http"], ports["metrics"], ports["envoy-stats"]}


def test_probes_ask_for_what_there_is_and_the_end_leaves_time_to_drain() -> None:
    server, envoy = ALL["server"], ALL["envoy"]
    services = {str(service.full_name) for service in SERVICES} | {None}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["grpc"]["port"] == settings().grpc_port
        assert server[probe]["grpc"].get("service") in services
    assert envoy["readinessProbe"]["httpGet"]["path"] == "/v1/admin/health"
    assert envoy["restartPolicy"] == "Always", "a sidecar: it begins before the server, and ends after it"
    grace = POD["spec"]["terminationGracePeriodSeconds"]
    assert grace >= server["lifecycle"]["preStop"]["sleep"]["seconds"] + settings().drain_seconds + 10


def test_commands_exist_and_envoy_takes_what_is_written_for_it(tmp_path: Path) -> None:
    from memory_grpc.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for name in ("server", "migrate", "envoy-config"):
        assert ALL[name]["args"][0] in commands
    written = ALL["envoy-config"]["args"][-1]
    assert written in ALL["envoy"]["args"]
    config = tmp_path / "envoy.yaml"
    config.write_text(envoy_config.render(settings()))
    command = [binary(), "--mode", "validate", "--config-path", config, "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    # The admin interface is a file in a folder that the container may write to.
    admin = Path(yaml.safe_load(config.read_text())["admin"]["address"]["pipe"]["path"])
    assert str(admin.parent) in {mount["mountPath"] for mount in ALL["envoy"]["volumeMounts"]}

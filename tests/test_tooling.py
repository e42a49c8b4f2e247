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
NODE_LOCKS = sorted(
    folder / "package-lock.json"
    for folder in (ROOT / "tests/node", ROOT / "tests/clients/node", ROOT / "tests/openapi")
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


@pytest.mark.parametrize("path", NODE_LOCKS, ids=lambda path: path.parent.name)
def test_a_lock_of_node_packages_has_those_of_all_platforms(path: Path) -> None:
    """npm leaves out what its registry lacks, and `npm ci` refuses such a lock."""
    packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
    for place, package in packages.items():
        for name in {**package.get("dependencies", {}), **package.get("optionalDependencies", {})}:
            # A package is looked for beside the one that needs it, and in the folders above.
            around = re.findall(r".*?node_modules/(?:@[^/]+/)?[^/]+(?=/|$)", place)
            places = ["".join(around[:depth]) for depth in range(len(around) + 1)]
            found = [f"{one}/node_modules/{name}".lstrip("/") in packages for one in places]
            assert any(found), (place, name)

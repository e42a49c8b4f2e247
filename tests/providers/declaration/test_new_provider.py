"""One more provider breaks nothing: the checklist in CONTRIBUTING.md, followed to the letter in a
copy of the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source import ROOT

pytestmark = pytest.mark.slow
CHECKLIST = re.compile(r"^## Add a provider\n(.*?)^### ", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^(\d)\. (.*?)(?=^\d\. |^\S|\Z)", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"\*\*`([^`]+)`\*\*.*?^ *```\w+\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
NOT_COPIED = (
    *(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "node_modules"),
    *("var", "screenshots", "*.tmp"),
)
ROW, ADAPTER = "example", "example_two"
# What the suite says about every provider: files, and names of tests in them.
FILES = (
    "tests/providers/wire/test_contract.py",
    "tests/providers/declaration/test_registry.py",
    "tests/providers/adapters/test_docs_pages.py",
    "tests/models_catalog/facts/test_data.py",
    "tests/models_catalog/facts/test_snapshots.py",
    "tests/gateway/dataplane/test_sdks.py::test_every_provider_is_seen_with_what_it_serves",
    "tests/test_architecture.py",
    "tests/test_docs.py",
    "tests/help/test_help.py",
    "tests/core/test_pages.py",
)
NAMES = (
    *("example", "every_provider", "hold_nothing", "test_registry", "test_docs_pages", "exported"),
    *("adapters", "readme", "missing", "headings", "no_english"),
)


def steps() -> dict[int, str]:
    """Return the numbered steps of the checklist."""
    [checklist] = CHECKLIST.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    return {int(number): text for number, text in STEP.findall(checklist)}


def example(step: str, slug: str) -> tuple[str, str]:
    """Return the path that a step names and the content it shows, for a provider of that slug."""
    [(path, content)] = FILE.findall(step)
    text = textwrap.dedent(content).replace('slug="example"', f'slug="{slug}"')
    return path.replace("example", slug), text


def write(root: Path, path: str, content: str) -> None:
    assert (root / path).parent.is_dir(), path
    assert not (root / path).exists(), path
    (root / path).write_text(content, encoding="utf-8")


def without_declaration(toml: str) -> str:
    """Leave the table [provider] out, as step 2 says."""
    return re.sub(r"^\[provider\]\n(?:\S.*\n)+\n", "", toml)


def run(root: Path, *command: str) -> str:
    keep = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
    }
    done = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env={**keep, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the repository to which the checklist has added two providers: a row, and one with
    an adapter.
    """
    root = tmp_path_factory.mktemp("copy") / "modelkeep"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*NOT_COPIED))
    told = steps()
    assert set(told) == {1, 2, 3, 4}
    for slug in (ROW, ADAPTER):
        path, toml = example(told[1], slug)
        write(root, path, toml if slug == ROW else without_declaration(toml))
        if slug == ADAPTER:
            write(root, *example(told[2], slug))
        write(root, *example(told[3], slug))
    assert "`make tables`" in told[4]
    run(root, "-m", "tests.tables")
    yield root
    shutil.rmtree(root)


def test_it_is_offered_without_a_list_being_edited(copy: Path) -> None:
    run(copy, "manage.py", "check", "--fail-level", "WARNING")
    for check in (["check"], ["format", "--check"]):
        run(copy, "-m", "ruff", *check, "providers/adapters", "tests/providers")
    table = (copy / "README.md").read_text(encoding="utf-8")
    for slug in (ROW, ADAPTER):
        assert f"| Example | `{slug}` | chat | all at once | API key |" in table


def test_the_tests_of_providers_pass_with_it(copy: Path) -> None:
    chosen = ["-m", "not slow", "-k", " or ".join(NAMES), *FILES]
    output = run(copy, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "-rA", *chosen)
    for slug in (ROW, ADAPTER):
        for case in ("chat", "a stream", "error: key"):
            passed = f"tests/providers/wire/test_contract.py::test_case[{slug}: {case}]"
            assert f"PASSED {passed}" in output

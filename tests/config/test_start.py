"""What a first start relies on: settings that are listed, locks that agree, and a start that can be
repeated.
"""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from config import first_start
from tests.installation import install_copy
from tests.postgres import Postgres
from tests.server import free_port
from tests.source import ROOT, tree

READS = {
    "env.str",
    "env.bool",
    "env.int",
    "env.list",
    "env.float",
    "env.db_url",
    "env.seconds",
    "_secret",
    "os.environ.get",
}


def variables_read(path: Path) -> set[str]:
    """Names of environment variables that a file reads by env.str("NAME"), _secret("NAME", ...) or
    os.environ.get("NAME").
    """
    calls = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and node.args)
    names = (
        ast.unparse(node.args[0]).strip("\"'") for node in calls if ast.unparse(node.func) in READS
    )
    return {name for name in names if re.fullmatch(r"[A-Z][A-Z0-9_]+", name)}


def test_every_setting_stands_in_the_example() -> None:
    listed = re.findall(
        r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(listed) == len(set(listed))
    assert variables_read(ROOT / "config" / "settings.py") == set(listed)


def test_the_example_holds_no_secret() -> None:
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        if re.match(r"#?(SECRET_KEY|MODELKEEP_MASTER_KEYS|DATABASE_URL|CACHE_URL)=", line):
            assert line.endswith("=")


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def test_the_locks_agree_and_name_no_index() -> None:
    server, everything = pins("requirements.txt"), pins("requirements-dev.txt")
    assert len(server) > 20
    assert server.items() <= everything.items()
    for path in ROOT.glob("requirements*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert not re.search(r"^\s*--(?!hash=sha256:[0-9a-f]{64})", text, re.MULTILINE)
        for block in re.split(r"\n(?=\S)", text.split("\n", 1)[1]):
            assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("folder", ["tests/node", "tests/clients/node", "bench/gateways/node"])
def test_the_locks_of_node_name_no_registry(folder: str) -> None:
    locked = json.loads((ROOT / folder / "package-lock.json").read_text(encoding="utf-8"))
    packages = [package for path, package in locked["packages"].items() if path]
    assert packages
    assert not any("resolved" in package for package in packages)
    unverified = [package for package in packages if "integrity" not in package]
    # Variants for machines whose packages a mirror for Linux does not carry.
    assert all(package["optional"] and package["os"] for package in unverified)
    assert not any(
        "linux" in package["os"]
        and "x64" in package["cpu"]
        and "musl" not in package.get("libc", ())
        for package in unverified
    )


def clean_environment(folder: Path, port: int, **more: str) -> dict[str, str]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return (
        keep
        | {
            "MODELKEEP_READ_DOTENV": "0",
            "DATA_DIR": str(folder),
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        | more
    )


def run_start(folder: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "config.start", *options],
        cwd=ROOT,
        env=clean_environment(folder, 8000, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def installed(folder: Path) -> None:
    """What a first start leaves in `folder`."""
    folder.mkdir(mode=0o700)
    install_copy(folder, clean_environment(folder, 8000))


def start(folder: Path) -> str:
    """Run what comes before the server once; what it printed."""
    done = run_start(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_first_start_prints_access_once_and_keeps_secrets_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = start(folder)
    for expected in ("http://127.0.0.1:8000", "mk_live_", "@"):
        assert expected in first
    second = start(folder)
    assert "mk_live_" not in second
    assert "assword" not in second
    for name in ("secret_key", "master_keys"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    key = re.search(r"mk_live_\w+", first)
    assert key
    for path in folder.glob("*"):
        if path.is_file():
            assert key[0].encode() not in path.read_bytes(), f"{path.name} holds the app key"
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, (
                f"{path.name} can be read by others"
            )


@pytest.mark.slow
@pytest.mark.parametrize("by", ["journal", "option"])
def test_a_journal_is_told_where_the_first_passwords_are_not_what_they_are(
    tmp_path: Path, by: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "first-start").write_text("from an earlier database")
    (folder / "first-start").chmod(0o644)
    kept = {"JOURNAL_STREAM": "8:12345"} if by == "journal" else {}
    options = [] if by == "journal" else ["--secrets-to-file"]
    done = run_start(folder, *options, **kept)
    assert done.returncode == 0, done.stderr
    assert "mk_live_" not in done.stdout + done.stderr
    assert str(folder / "first-start") in done.stdout
    written = (folder / "first-start").read_text()
    assert written.count("assword  ") == 2
    assert "mk_live_" in written
    assert "earlier" not in written
    assert stat.S_IMODE((folder / "first-start").stat().st_mode) == 0o600
    for line in written.splitlines():
        if "assword  " in line:
            assert line.split()[-1] not in done.stdout
    (folder / "first-start").unlink()
    assert run_start(folder, *options, **kept).returncode == 0
    assert not (folder / "first-start").exists()


def test_what_we_ship_keeps_first_passwords_out_of_logs() -> None:
    for name in ("Dockerfile", "systemd/modelkeep-prepare.service"):
        assert "-m config.start --secrets-to-file" in (ROOT / "deploy" / name).read_text()


@pytest.mark.slow
def test_no_new_master_key_takes_the_place_of_a_lost_one(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    installed(folder)
    (folder / "master_keys").unlink()
    done = run_start(folder)
    assert done.returncode == 1
    assert "Restore the file from your backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "master_keys").exists()


@pytest.mark.slow
def test_nor_on_postgresql(tmp_path: Path) -> None:
    """Another machine's start without the keys, or one whose volume was lost."""
    with Postgres(durable=False) as server:
        environment = clean_environment(tmp_path, 8000)
        (tmp_path / "first").mkdir()
        url = install_copy(tmp_path / "first", environment, server.url).database_url
        done = run_start(tmp_path / "second", DATABASE_URL=url)
        new = run_start(tmp_path / "third", DATABASE_URL=server.url)
    assert done.returncode == 1
    assert "Restore the file from your backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "second" / "master_keys").exists()
    assert new.returncode == 0, "an empty database gets new keys"


@pytest.mark.slow
def test_what_keeps_the_start_from_its_data_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    done = run_start(tmp_path / "a-file")
    assert done.returncode == 1
    assert re.fullmatch(r"DATA_DIR cannot be used: .*a-file'\n", done.stderr)
    for address in (
        "postgresql://ada:pass-word@127.0.0.1:1/x",
        "nonsense",
        "mysql://ada:pass-word@db/x",
    ):
        done = run_start(tmp_path / "data", DATABASE_URL=address)
        assert done.returncode == 1
        assert "DATABASE_URL" in done.stderr
        assert "Traceback" not in done.stderr
        assert "pass-word" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PORT", "abc", "PORT must be a whole number."),
        ("MODELKEEP_HEARTBEAT", "0", "MODELKEEP_HEARTBEAT must be a number of seconds above 0."),
        (
            "SECRET_KEY_FILE",
            "/no/such/file",
            "SECRET_KEY_FILE names a file that cannot be read: /no/such/file: No such file or "
            "directory.",
        ),
        (
            "DATABASE_URL_FILE",
            "/no/such/file",
            "DATABASE_URL_FILE names a file that cannot be read: /no/such/file: No such file or "
            "directory.",
        ),
    ],
)
@pytest.mark.parametrize(
    "command", [["-m", "config.start"], ["manage.py", "migrate"]], ids=["start", "manage"]
)
def test_a_setting_that_cannot_be_used_is_named_in_a_line(
    tmp_path: Path, command: list[str], variable: str, value: str, words: str
) -> None:
    environment = clean_environment(tmp_path / "data", 8000, **{variable: value})
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == f"Invalid settings: {words}\n"


@pytest.mark.slow
def test_a_wrong_master_key_is_one_error_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    installed(folder)
    (folder / "master_keys").write_text(first_start.new_master_key() + "\n")
    done = run_start(folder)
    assert done.returncode == 0, "pages go on answering; /readyz does not say that all is well"
    errors = [line for line in done.stderr.splitlines() if " ERROR " in line]
    assert len(errors) == 1, done.stderr
    assert "Wrong master key m1" in errors[0]


@pytest.mark.slow
def test_the_server_starts_answers_and_stops(tmp_path: Path) -> None:
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "config.start", "--serve"],
            cwd=ROOT,
            env=clean_environment(
                tmp_path / "data",
                port,
                WEB_CONCURRENCY="1",
                GRACEFUL_TIMEOUT="5",
                SHUTDOWN_DELAY="0",
            ),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/readyz", seconds=60)
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/accounts/login/?next=/secret-in-the-query", timeout=10
        ) as page:
            assert page.status == 200
    finally:
        server.terminate()
        code = server.wait(timeout=30)
    text = (tmp_path / "log").read_text()
    assert code == 0, text
    assert re.search(r"modelkeep.access \[[0-9a-f]{24}\] GET /accounts/login/ 200 ", text), text
    assert "secret-in-the-query" not in text
    assert "/readyz" not in text


def wait_until_ready(url: str, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)


@pytest.mark.slow
def test_init_alone_makes_an_installation_and_repeats_harmlessly(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path / "data", free_port())
    command = [
        sys.executable,
        "manage.py",
        "init",
        "--workspace",
        "first",
        "--owner",
        "owner@example.test",
        "--json",
    ]
    answers = [
        json.loads(
            subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            ).stdout
        )
        for _ in range(2)
    ]
    assert answers[0].keys() >= {"workspace", "owner", "password", "app_key"}
    assert answers[1] == {"workspace": "first", "owner": "owner@example.test"}

"""What every test gets: no network but loopback, no tenant left active, and on request two
workspaces and a stranger.
"""

from __future__ import annotations

import gc
import os
import socket
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import translation

from core.i18n.compile import compile_outdated
from providers.transport import sync_client
from tenants.crypto import keys
from tenants.models import Tenant, User
from tenants.scope import tenant_scope
from tests import canary, factories
from tests.answers import Answers
from tests.browser.installed import find_chromium
from tests.databases import own_database
from tests.pairs import stored_pairs
from tests.quotas.triggers import flushing_drops_triggers  # noqa: F401  (an autouse fixture)

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
IN_CI = os.environ.get("CI") == "true"
SEEN = "seen in a browser"
MOST = "the most of a page"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _refuse_foreign(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
        raise RuntimeError(f"a test tried to reach {address[0]}")


def _guarded_connect(self: socket.socket, address: Any) -> Any:
    _refuse_foreign(self.family, address)
    return _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> Any:
    _refuse_foreign(self.family, address)
    return _connect_ex(self, address)


def pytest_configure() -> None:
    """Tests read the translations as they are in the .po files now, and reach this machine only."""
    gc.disable()  # until they are collected
    compile_outdated()
    socket.socket.connect = _guarded_connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _guarded_connect_ex  # type: ignore[method-assign]
    hypothesis.settings.register_profile("tests", deadline=None)  # other programs run beside them
    hypothesis.settings.load_profile("tests")


def _refuse_process(_process: object, *command: object, **_options: object) -> None:
    raise RuntimeError(f"a quick test started {command[0]}; mark it slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Quick tests start no process; those that do are marked slow."""
    with pytest.MonkeyPatch.context() as patch:
        if not any(item.get_closest_marker(name) for name in ("slow", "browser", "peers")):
            patch.setattr(subprocess.Popen, "__init__", _refuse_process)
        return (yield)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: Any, worker_id: str
) -> Iterator[None]:
    """In place of pytest-django's, which migrates a database in each process."""
    with django_db_blocker.unblock(), own_database(worker_id), django_db_blocker.block():
        yield


@pytest.fixture(autouse=True)
def ready_pairs() -> Iterator[None]:
    """RSA pairs come from a store; a test that wants a new one asks tests.pairs.generate."""
    with stored_pairs():
        yield


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    """A request in another language leaves it active in its thread."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Throttles and cached routes of one test are not the next one's."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def no_secret_shown() -> Iterator[list[str]]:
    """No answer of Django and no log line of any test holds one of the test's secrets."""
    with canary.watching() as found:
        yield found
    assert not found, f"a secret was shown: {'; '.join(found)}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What the tests left in their data folder is searched as well."""
    for path in Path(settings.DATA_DIR).rglob("*"):
        if path.is_file() and canary.find(path.read_bytes()):
            print(f"\nA secret of the tests stands in {path}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tables that tests recorded stand at the end, wherever the tests ran."""
    seen: list[str] = []
    most: list[str] = []
    for report in (
        *terminalreporter.stats.get("passed", ()),
        *terminalreporter.stats.get("failed", ()),
    ):
        for title, text in getattr(report, "user_properties", ()):
            if title == SEEN:
                seen.append(str(text))
            elif title == MOST:
                most.append(str(text))
            else:
                terminalreporter.section(title)
                terminalreporter.write_line(str(text))
    if seen:
        _write_seen(terminalreporter, seen)
    if most:
        _write_most(terminalreporter, most)


def _write_seen(terminalreporter: Any, seen: list[str]) -> None:
    """How much of the sitemap was looked at; each text is "page: state, state"."""
    pages = {text.partition(":")[0] for text in seen}
    states = sum(text.count(",") + 1 for text in seen)
    terminalreporter.section(SEEN)
    terminalreporter.write_line(f"{len(pages)} pages in their states, {states} times looked at")


def _write_most(terminalreporter: Any, most: list[str]) -> None:
    """The greatest of each quantity and the page that it is of; each text is
    "quantity|number|page".
    """
    greatest: dict[str, tuple[int, str]] = {}
    for text in most:
        what, number, where = text.split("|", 2)
        greatest[what] = max(greatest.get(what, (0, "")), (int(number), where))
    terminalreporter.section(MOST)
    for what, (number, where) in sorted(greatest.items()):
        terminalreporter.write_line(f"{what}: {number:,} ({where})")


def pytest_collection_finish() -> None:
    """What is loaded by now stays until the end: the collector need not look through it again and
    again. What tests leave is little, and looking for it often took a tenth of their time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


def opens_no_database(item: pytest.Item) -> bool:
    """Whether pytest-django keeps the test from the database; a quick one starts no process that
    could open it either.
    """
    fixtures = getattr(item, "fixturenames", ())
    return not (
        item.get_closest_marker("slow")
        or item.get_closest_marker("django_db")
        or {"db", "transactional_db"}.intersection(fixtures)
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """On PostgreSQL, tests that open no database are left out. Without a browser its tests are
    skipped with a reason; in CI they fail (browser_is_there).
    """
    if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        config.hook.pytest_deselected(items=[item for item in items if opens_no_database(item)])
        items[:] = [item for item in items if not opens_no_database(item)]
    if not IN_CI and find_chromium() is None:
        _skip_browser(items)
    yield
    _slow_files_first(items)


def _skip_browser(items: list[pytest.Item]) -> None:
    reason = (
        "There is no Chromium; the browser tests did not run. deploy/install-chromium "
        "installs one as root."
    )
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason=reason))


def _slow_files_first(items: list[pytest.Item]) -> None:
    """What is slow as a whole begins early: at the end, short files fill what is left of each
    worker's time.
    """
    with_quick = {item.path for item in items if not item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path in with_quick)


@pytest.fixture(autouse=True)
def browser_is_there(request: pytest.FixtureRequest) -> None:
    if IN_CI and request.node.get_closest_marker("browser") and find_chromium() is None:
        pytest.fail("There is no Chromium, and CI must run the browser tests.")


@pytest.fixture
def acme(db: None) -> factories.Workspace:
    return factories.make_workspace("acme")


@pytest.fixture
def tenant(acme: factories.Workspace) -> Iterator[Tenant]:
    """acme's workspace, entered; its keys have not been opened yet."""
    keys.forget()
    with tenant_scope(acme.tenant):
        yield acme.tenant


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What providers answer to checks and imports, told beforehand."""
    made = Answers()
    monkeypatch.setattr(sync_client, "send", made.send)
    return made


@pytest.fixture
def globex(db: None) -> factories.Workspace:
    return factories.make_workspace("globex")


@pytest.fixture
def stranger(db: None) -> User:
    """A person with an account and no workspace."""
    return factories.make_user("stranger@nowhere.test")


@pytest.fixture
def operator(db: None) -> User:
    return factories.make_operator()

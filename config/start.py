"""Prepare an installation: secrets, tables, static files, first workspace. --serve then serves.

With --secrets-to-file, the first passwords and app key are not printed but written to a file.

Django is started once, because that takes a second: preparing and serving share it. Steps already
done are skipped.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from config import first_start

log = logging.getLogger("modelkeep.start")
FIRST_WORKSPACE = "main"
FIRST_OWNER = "owner@modelkeep.local"
SECRETS_TO_FILE = "--secrets-to-file"


def static_fingerprint() -> str:
    """Return a digest of every static file's path, size and modification time."""
    from django.contrib.staticfiles.finders import get_finders

    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            info = os.stat(storage.path(path))
            digest.update(f"{path}\0{info.st_size}\0{info.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collect_static() -> None:
    from django.conf import settings
    from django.core.management import call_command

    stamp = Path(settings.STATIC_ROOT) / ".fingerprint"
    fingerprint = static_fingerprint()
    if not stamp.is_file() or stamp.read_text() != fingerprint:
        print("Preparing the static files ...", flush=True)
        call_command("collectstatic", verbosity=0, interactive=False)
        stamp.write_text(fingerprint)


def compile_translations() -> None:
    """Compile outdated translations; without them, pages are in English."""
    from core.i18n.compile import compile_outdated

    try:
        compile_outdated()
    except OSError as error:
        print(f"Could not compile the translations: {error}", file=sys.stderr)


def first_workspace() -> None:
    """Create the first workspace, owner, operator and app key and show them once.

    Does nothing if there are users.
    """
    from django.core.management import call_command

    from tenants.installation import first_access, forget_first_access
    from tenants.models import User

    if User.objects.exists():
        if User.objects.filter(last_login__isnull=False).exists():
            forget_first_access()
        return
    if shows_secrets():
        call_command("init", workspace=FIRST_WORKSPACE, owner=FIRST_OWNER)
        return
    path = first_access()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)  # if the file existed
        call_command("init", workspace=FIRST_WORKSPACE, owner=FIRST_OWNER, stdout=file)
    print(
        f"The first passwords and app key are in {path}. Store them: the file is deleted when "
        "someone first signs in."
    )


def shows_secrets() -> bool:
    """Return whether the output may show passwords: not if a journal or container log keeps it."""
    if sys.stdout.isatty():
        return True
    # systemd sets the variable; the units and images that we ship pass the option.
    return "JOURNAL_STREAM" not in os.environ and SECRETS_TO_FILE not in sys.argv[1:]


def main() -> None:
    compile_translations()
    os.umask(0o077)  # new files, such as the database, are private to this user
    first_start.main()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    set_up()
    if "--serve" not in sys.argv[1:]:
        prepare()
        return
    prepare_apart()
    serve()


def set_up() -> None:
    """Set up Django; exit with a one-line message if a setting is invalid."""
    import django
    from django.core.exceptions import ImproperlyConfigured

    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.exit(f"Invalid settings: {error}")
    load_providers()


def prepare_apart() -> None:
    """Prepare in a child process, so that no worker inherits the memory of migrations and commands.

    Exits as the child did if it failed.
    """
    child = multiprocessing.get_context("fork").Process(target=prepare)
    child.start()
    before = signal.signal(signal.SIGTERM, lambda *_signal: child.terminate())
    child.join()
    signal.signal(signal.SIGTERM, before)
    if child.exitcode:
        sys.exit(child.exitcode if child.exitcode > 0 else 128 - child.exitcode)


def prepare() -> None:
    """Prepare the data; exit with a one-line message if the database or disk fails."""
    from django.db import OperationalError

    from core.db.exclusive import preparing
    from tenants.management.base import migrate

    try:
        with preparing():
            migrate()
            report_keys()
            complete_upgrade()
            first_workspace()
        collect_static()
    except OperationalError as error:
        sys.exit(
            f"The database cannot be used: {error}. Check DATABASE_URL, or DATA_DIR and its "
            f"disk if you use SQLite."
        )
    except OSError as error:
        sys.exit(f"DATA_DIR cannot be used: {error}")


def load_providers() -> None:
    """Load all provider declarations; exit with a one-line message if one is invalid."""
    from providers.declaration import registry

    try:
        registry.all_providers()
    except RuntimeError as error:
        sys.exit(f"Could not load a provider: {error}")


def report_keys() -> None:
    """Log an error if the master keys don't match the database, or SECRET_KEY other machines'.

    With wrong master keys, pages still work, but calls fail and /readyz responds 503.
    """
    from tenants.crypto.keys import master_key_problems
    from tenants.installation import secret_key_problem

    problems = master_key_problems()
    if problems:
        log.error(
            "%s Until MODELKEEP_MASTER_KEYS is corrected, stored keys cannot be decrypted and new "
            "keys cannot be saved.",
            " ".join(problems),
        )
    elif problem := secret_key_problem(adopt=True):
        log.error("%s", problem)


def complete_upgrade() -> None:
    """Use what earlier releases can't read if no other machine can run one: on SQLite.

    Elsewhere `upgrade --complete` does.
    """
    from django.db import connection

    from tenants.crypto import keys

    if connection.vendor == "sqlite":
        keys.complete_data_keys()
    elif not keys.writes_data_keys():
        log.info("When every machine runs this release, run: manage.py upgrade --complete")


def serve() -> None:
    """Run gunicorn in this process, whose workers inherit what is loaded."""
    from gunicorn.app.wsgiapp import run

    sys.argv = ["gunicorn", "--config", "config/gunicorn.conf.py", "config.asgi:application"]
    run()


if __name__ == "__main__":
    main()

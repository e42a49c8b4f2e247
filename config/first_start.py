"""Generate missing secrets on first start: `python -m config.first_start`.

Secrets set neither in the environment nor in .env are written to DATA_DIR with mode 0600. Existing
files are never changed. Runs before Django loads.
"""

from __future__ import annotations

import base64
import os
import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from django.core.exceptions import ImproperlyConfigured

from config.environment import ROOT, Environment
from tenants.crypto.master_keys import write_once


def new_master_key(mkid: str = "m1") -> str:
    """Return a key as "m1:<base64 of 32 random bytes>", the format of MODELKEEP_MASTER_KEYS."""
    return f"{mkid}:{base64.b64encode(os.urandom(32)).decode('ascii')}"


def main(*, master_keys: bool = True) -> None:
    env = Environment()
    if os.environ.get("MODELKEEP_READ_DOTENV", "1") == "1":
        environ.Env.read_env(ROOT / ".env")
    try:
        folder = Path(env.str("DATA_DIR", default=str(ROOT / "var")))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not env.str("SECRET_KEY", default=""):
            write_once(folder / "secret_key", secrets.token_urlsafe(50))
        if (
            master_keys
            and not env.str("MODELKEEP_MASTER_KEYS", default="")
            and not (folder / "master_keys").exists()
        ):
            database = env.db_url("DATABASE_URL", default=f"sqlite:///{folder}/modelkeep.sqlite3")
            if has_sealed_keys(database):
                sys.exit(
                    LOST_KEYS.format(keys=folder / "master_keys", database=described(database))
                )
            write_once(folder / "master_keys", new_master_key())
    except ImproperlyConfigured as error:
        sys.exit(f"Invalid settings: {error}")
    except OSError as error:
        sys.exit(f"DATA_DIR cannot be used: {error}")


FIRST_USE = "SELECT 1 FROM tenants_masterkeycheck LIMIT 1"
LOST_KEYS = (
    "Master keys not found: {keys} does not exist, and MODELKEEP_MASTER_KEYS is not set.\n"
    "{database} contains keys encrypted with them, which new master keys could not decrypt, so "
    "none were created.\n"
    "Restore the file from your backup, or set MODELKEEP_MASTER_KEYS. To start over, use "
    "an empty database."
)


def described(database: dict[str, Any]) -> str:
    """Return where a database is, without its password."""
    if is_postgres(database):
        return f"The database {database['NAME']} at {unquote(database['HOST']) or 'localhost'}"
    return str(database["NAME"])


def is_postgres(database: dict[str, Any]) -> bool:
    return str(database.get("ENGINE", "")).endswith("postgresql")


def has_sealed_keys(database: dict[str, Any]) -> bool:
    """Return whether a master key was ever used with this database.

    An unreadable SQLite file counts as unused; later startup steps report it. A PostgreSQL server
    that does not answer ends the start: a key made meanwhile could take a lost one's place.
    """
    try:
        if is_postgres(database):
            return _used_in_postgres(database)
        if not Path(database.get("NAME", "")).is_file():
            return False
        with closing(sqlite3.connect(f"file:{database['NAME']}?mode=ro", uri=True)) as connection:
            return connection.execute(FIRST_USE).fetchone() is not None
    except sqlite3.Error:
        return False


def _used_in_postgres(database: dict[str, Any]) -> bool:
    import psycopg

    address = {
        "host": unquote(database["HOST"]),
        "port": database["PORT"],
        "user": database["USER"],
        "password": database["PASSWORD"],
        "dbname": database["NAME"],
    } | database.get("OPTIONS", {})
    try:
        with psycopg.connect(**{name: value for name, value in address.items() if value}) as asked:
            return asked.execute(FIRST_USE).fetchone() is not None
    except psycopg.errors.UndefinedTable:
        return False
    except psycopg.OperationalError as error:
        sys.exit(f"The database cannot be used: {error}. Check DATABASE_URL.")


if __name__ == "__main__":
    if sys.argv[1:] == ["--print-master-key"]:
        print(new_master_key(f"m{secrets.token_hex(2)}"))
    else:
        main()

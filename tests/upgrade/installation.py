"""Look at the upgraded installation in DATA_DIR as its people do, and print what they see as
JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.test import Client  # noqa: E402

from core.i18n.compile import compile_outdated  # noqa: E402


def api(app_key: str, path: str) -> Any:
    response = Client(SERVER_NAME="127.0.0.1").get(
        f"/api/v1/{path}", headers={"Authorization": f"Bearer {app_key}"}
    )
    return response.json() if response.status_code == 200 else response.status_code


def page(person: Client, path: str) -> tuple[int, str]:
    response = person.get(path)
    return response.status_code, response.content.decode()


def report(secrets: dict[str, Any]) -> dict[str, Any]:
    """Return what each owner sees of both workspaces, and what a stranger sees."""
    people = {}
    for slug in ("acme", "globex"):
        people[slug] = Client(SERVER_NAME="127.0.0.1")
        people[slug].post(
            "/accounts/login/",
            {"username": secrets[slug]["owner"], "password": secrets[slug]["password"]},
        )
    people["stranger"] = Client(SERVER_NAME="127.0.0.1")
    paths = {
        "overview": "/t/acme/",
        "credentials": "/t/acme/settings/model-providers/openai/credentials/",
        "calls": "/t/acme/usage/calls/",
        "audit": "/t/acme/settings/audit/",
    }
    key = secrets["acme"]["app_key"]
    credentials = api(key, "providers/openai/credentials/")["results"]
    first = f"providers/openai/credentials/{credentials[0]['id']}/"
    return {
        "pages": {
            name: {who: page(client, path) for who, client in people.items()}
            for name, path in paths.items()
        },
        "credentials": credentials,
        "neighbour": api(secrets["globex"]["app_key"], first),
        "stranger": api("", first),
        "calls": api(key, "usage/calls/")["results"],
        "trials": api(key, "trials/")["results"],
        "defaults": api(key, "default-models/")["results"],
    }


if __name__ == "__main__":
    compile_outdated()
    print(json.dumps(report(json.loads(sys.argv[1]))))

"""Settings of the worker processes: the tests' own, with the ledger's apps only, so that a process
starts in half a second.
"""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [
    "tenants",
    "quotas",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
]
MIDDLEWARE: list[str] = []

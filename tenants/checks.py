"""System checks of an installation. Every message has an id and a hint."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection
from django.http.request import validate_host

from tenants.crypto import key_pairs, master_keys
from tenants.crypto.master_keys import MasterKeyError

_MAKE_KEY: Final = (
    "Make one with `python -m config.first_start --print-master-key` and set "
    "MODELKEEP_MASTER_KEYS or MODELKEEP_MASTER_KEYS_FILE."
)
MASTER_KEY_IDS: Final = {
    "missing": "modelkeep.E001",
    "example": "modelkeep.E003",
    "malformed": "modelkeep.E004",
    "short": "modelkeep.E005",
    "repeated": "modelkeep.E006",
    "secret_key": "modelkeep.E007",
}


@register(Tags.security)
def check_secrets(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check that SECRET_KEY and the master keys are set and strong."""
    messages: list[CheckMessage] = []
    if not settings.SECRET_KEY:
        hint = "Set SECRET_KEY or SECRET_KEY_FILE, or run `python -m config.first_start` once."
        messages.append(Error("SECRET_KEY is empty.", hint=hint, id="modelkeep.E008"))
    try:
        master_keys.parse(settings.MODELKEEP_MASTER_KEYS, settings.SECRET_KEY)
    except MasterKeyError as error:
        messages.append(Error(str(error), hint=_MAKE_KEY, id=MASTER_KEY_IDS[error.code]))
    return messages


@register(Tags.database)
def check_master_keys_fit(
    app_configs: Any, databases: Any = None, **kwargs: Any
) -> Sequence[CheckMessage]:
    """Check the master keys against the database; only with `check --database` or `migrate`."""
    if not databases:
        return []
    try:
        problems = key_pairs.master_key_problems()
    except DatabaseError:
        return []  # no tables yet
    hint = (
        "Set MODELKEEP_MASTER_KEYS to the keys this database was sealed with. Until then, no "
        "secrets can be stored."
    )
    return [Error(problem, hint=hint, id="modelkeep.E009") for problem in problems]


@register(Tags.urls)
def check_site_url(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check that ALLOWED_HOSTS contains the host of SITE_URL."""
    host = urlsplit(settings.SITE_URL).hostname
    if host and validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS):
        return []
    message = (
        f"The host of SITE_URL ({host or 'none'}) is not in ALLOWED_HOSTS: every request to it is "
        "refused."
    )
    hint = f"Add {host or 'the host'} to ALLOWED_HOSTS, or correct SITE_URL."
    return [Error(message, hint=hint, id="modelkeep.E002")]


@register(Tags.security)
def check_debug(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about DEBUG on a public server."""
    if not settings.DEBUG or not is_public():
        return []
    hint = "Set DEBUG=0: error pages show settings and source code to everyone."
    message = "DEBUG is on although others can reach this server."
    return [Warning(message, hint=hint, id="modelkeep.W001")]


@register(Tags.security)
def check_content_security_policy(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about a missing or weak content security policy."""
    policy: str = getattr(settings, "CONTENT_SECURITY_POLICY", "")
    middleware = "core.middleware.ContentSecurityPolicyMiddleware"
    is_strict = "default-src 'none'" in policy and "unsafe-" not in policy
    if is_strict and middleware in settings.MIDDLEWARE:
        return []
    hint = (
        f"Keep {middleware} in MIDDLEWARE and default-src 'none' without unsafe-* in "
        "CONTENT_SECURITY_POLICY."
    )
    message = "The content security policy is off or contains unsafe-*."
    return [Warning(message, hint=hint, id="modelkeep.W004")]


@register(deploy=True)
def check_sqlite(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about SQLite on a public server."""
    if not is_public() or connection.vendor != "sqlite":
        return []
    hint = (
        "Set DATABASE_URL to a PostgreSQL database; SQLite is limited to one machine and a few "
        "calls at a time."
    )
    return [Warning("A public server runs on SQLite.", hint=hint, id="modelkeep.W002")]


@register(deploy=True)
def check_demo_provider(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about the demo provider on a public server."""
    if not is_public() or not settings.MODELKEEP_DEMO_PROVIDER:
        return []
    hint = "Set MODELKEEP_DEMO_PROVIDER=0 unless people should try the pages with made-up answers."
    return [Warning("The demo provider is on at a public server.", hint=hint, id="modelkeep.W005")]


@register(Tags.security, deploy=True)
def check_trusted_proxies(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about proxies that are not named right, all trusted, or missing."""
    trusted = [entry.strip() for entry in settings.FORWARDED_ALLOW_IPS]
    wrong = [entry for entry in trusted if entry != "*" and not _is_network(entry)]
    messages = [
        Warning(
            f"“{entry}” in FORWARDED_ALLOW_IPS is no address or network: nobody is trusted for it.",
            hint="Write addresses or networks, such as 10.0.0.5 or 10.0.0.0/8, with commas.",
            id="modelkeep.W007",
        )
        for entry in wrong
    ]
    if is_public() and any(entry == "*" or entry.endswith("/0") for entry in trusted):
        hint = "List your proxies, unless nothing else can connect to the server."
        message = "FORWARDED_ALLOW_IPS trusts everybody: clients can choose the address they have."
        messages.append(Warning(message, hint=hint, id="modelkeep.W008"))
    if settings.HTTPS and not trusted and not settings.TRUSTED_PROXY_HEADER:
        hint = "Set FORWARDED_ALLOW_IPS to the address that your proxy connects from."
        message = "SITE_URL is https, but no proxy is trusted: pages redirect to themselves."
        messages.append(Warning(message, hint=hint, id="modelkeep.W009"))
    return messages


@register()
def check_time_zone(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about naive datetimes."""
    if settings.USE_TZ:
        return []
    message = "USE_TZ is off: times of calls are ambiguous."
    return [Warning(message, hint="Set USE_TZ = True.", id="modelkeep.W006")]


def is_public() -> bool:
    """Return whether SITE_URL or ALLOWED_HOSTS names a host other than this machine."""
    hosts = {
        urlsplit(settings.SITE_URL).hostname or "",
        *(host.strip("[]") for host in settings.ALLOWED_HOSTS),
    }
    return any(not _is_local(host) for host in hosts)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    if host in ("", "localhost", ".localhost", "testserver"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

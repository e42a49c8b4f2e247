"""What is reached through the network: mail server, cache, and on demand SITE_URL and providers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings
from django.core import mail
from django.core.cache import cache

from console.doctor.findings import Finding, fault, ok, warning
from providers.declaration import registry
from providers.declaration.spec import Call
from providers.transport import sync_client
from providers.transport.failures import TransportFailure

SECONDS: Final = 10.0
_PROXY_HELP: Final = "docs/deploy/proxies.md says what the proxy must set and what to trust."


def email() -> Iterator[Finding]:
    """Sign in to the mail server; nothing is sent."""
    if not settings.EMAIL_URL:
        yield ok("No mail server is set: people who invite someone share a link.")
        return
    try:
        connection = mail.get_connection()
        connection.open()
        connection.close()
    except OSError as error:  # SMTP's exceptions too
        yield fault(
            f"The mail server can't be used: {error}.",
            "Check EMAIL_URL: scheme (smtp+tls, smtp+ssl), name, port, user and password.",
        )
    else:
        yield ok(f"The mail server {settings.EMAIL_HOST} takes mail of this server.")


def shared_cache() -> Iterator[Finding]:
    """Write to the cache and read it back."""
    if not settings.CACHE_URL:
        yield ok("No shared cache is set, which is right for a single machine.")
        return
    key, value = f"doctor-{secrets.token_hex(8)}", secrets.token_hex(8)
    try:
        cache.set(key, value, 60)
        same = cache.get(key) == value
        cache.delete(key)
    except Exception as error:  # whatever the client of the cache raises
        yield fault(
            f"The cache can't be used: {error}.", "Check CACHE_URL and that Redis or Valkey runs."
        )
        return
    if same:
        yield ok("The shared cache keeps what is written.")
    else:
        yield fault(
            "The cache loses what is written.", "Check the memory limit of Redis or Valkey."
        )


# -- on demand -------------------------------------------------------------------------------------


def site() -> Iterator[Finding]:
    """Ask SITE_URL as a browser does, without following redirects."""
    login = f"{settings.SITE_URL}/accounts/login/"
    try:
        answer = _get(login)
    except requests.exceptions.SSLError as error:
        yield fault(
            f"The certificate of {settings.SITE_URL} is not valid: {error}.",
            "Renew it, or correct SITE_URL.",
        )
        return
    except requests.RequestException as error:
        yield fault(
            f"{settings.SITE_URL} does not answer this machine: {error}.",
            "Check that the server and its proxy run, the name, and the firewall.",
        )
        return
    yield _page(login, answer)
    if settings.HTTPS:
        yield from _unencrypted()


def _page(url: str, answer: requests.Response) -> Finding:
    target = urljoin(url, answer.headers.get("Location", ""))
    if answer.is_redirect and target == url:
        return fault(
            f"{url} redirects to itself: Modelkeep does not know that the request came by https.",
            f"Set FORWARDED_ALLOW_IPS to your proxy's address. {_PROXY_HELP}",
        )
    if answer.status_code != 200 or "X-Request-Id" not in answer.headers:
        return fault(
            f"{url} answers {answer.status_code}, and not as Modelkeep's sign-in page.",
            f"Check SITE_URL and where the proxy leads. {_PROXY_HELP}",
        )
    return ok(f"{settings.SITE_URL} answers with the sign-in page.")


def _unencrypted() -> Iterator[Finding]:
    parts = urlsplit(settings.SITE_URL)
    url = f"http://{parts.hostname}{parts.path}/accounts/login/"
    try:
        answer = _get(url)
    except requests.RequestException:
        yield ok("Nothing answers over plain http.")
        return
    if answer.is_redirect and answer.headers["Location"].startswith("https://"):
        yield ok("Pages over plain http are redirected to https.")
    else:
        yield fault(
            f"{url} answers {answer.status_code} instead of a redirect to https.",
            f"Let the proxy redirect port 80. {_PROXY_HELP}",
        )


def _get(url: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # neither proxies nor netrc
        return session.get(url, allow_redirects=False, timeout=SECONDS)


def providers() -> Iterator[Finding]:
    """Connect to every provider's default address, by the rules for calls, without a key."""
    for provider in registry.all_providers():
        url = provider.default_base_url
        if url.startswith("https://"):
            yield _reached(str(provider.label), url)


def _reached(label: str, url: str) -> Finding:
    origin = "{0.scheme}://{0.netloc}/".format(urlsplit(url))
    try:
        sync_client.send(
            Call("GET", origin), pool_key="doctor", deadline=time.monotonic() + SECONDS
        )
    except TransportFailure as failure:
        if not failure.sent:
            return warning(
                f"{label} can't be reached at {origin}: {failure}",
                "If people use it, check this machine's DNS, firewall and clock.",
            )
    return ok(f"{label} can be reached.")

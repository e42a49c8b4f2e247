"""HTTP helpers of all formats: URLs, calls with a JSON body, checked answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from core import long_json
from providers.declaration.errors import LONGEST_WAIT, CannotExpress, Failure, ProviderError
from providers.declaration.spec import Access, Call, Provider, Reply
from providers.failures.reasons import Reason
from providers.wire.memory import Remembered
from providers.wire.repairs import exact_json
from providers.wire.repairs.json_text import parse_leniently

Auth = Callable[[Access], dict[str, str]]

_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?\Z")
SHOWN_CHARACTERS = 300  # of a provider's error text
LONGEST_ERROR = 4000  # characters of an error that is a text
NO_ROUTE = frozenset({404, 405})  # statuses of servers without this endpoint


def bearer(name: str) -> Auth:
    """Make the `Authorization: Bearer` header from a credential's field; no header if it is
    empty.
    """

    def auth(access: Access) -> dict[str, str]:
        key = access.model_values.get(name) or access.values.get(name, "")
        return {"Authorization": f"Bearer {key}"} if key else {}

    return auth


def key_in(header: str) -> Auth:
    """Make a header of its own from the credential's key."""

    def auth(access: Access) -> dict[str, str]:
        return {header: access.values.get("api_key", "")}

    return auth


def base_of(provider: Provider, access: Access) -> str:
    """Return the effective base URL, without a slash at its end.

    Raises:
        CannotExpress: if neither the tenant nor the provider has one.
    """
    base = (access.base_url or provider.default_base_url).rstrip("/")
    if not base:
        raise CannotExpress("No base URL is set for this server.", param="base_url")
    return base


def url_of(provider: Provider, access: Access, path: str, *, version: str = "/v1") -> str:
    """Build the URL of an endpoint.

    People type a base URL with or without the API's version, so insert it unless a segment of the
    path looks like one. For servers that may have none, GuessedUrl tells where else to look.
    """
    base = base_of(provider, access)
    if not version or _has_version(base):
        return f"{base}{path}"
    urls = (f"{base}{version}{path}", f"{base}{path}")
    if not provider.may_lack_version:
        return urls[0]
    return GuessedUrl(base, *(reversed(urls) if base in unversioned else urls))


@lru_cache(maxsize=1024)
def _has_version(base: str) -> bool:
    return any(map(_VERSION.match, urlsplit(base).path.split("/")))


class GuessedUrl(str):
    """A URL with or without a version that was not typed, so that it may not exist.

    Attributes:
        base: As it was typed.
        other: The URL to call if this one does not exist.
    """

    base: str
    other: str

    def __new__(cls, base: str, url: str, other: str) -> GuessedUrl:
        guessed = super().__new__(cls, url)
        guessed.base, guessed.other = base, other
        return guessed

    def note_wrong(self) -> None:
        """Remember that the other URL is the one that exists."""
        if self.base in unversioned:
            unversioned.discard(self.base)
        else:
            unversioned.add(self.base)


unversioned = Remembered()  # base URLs of servers without a version


def path_segment(text: str) -> str:
    """Quote a name as one segment of a URL's path.

    Raises:
        CannotExpress: if it would change the path: empty, "." and "..".
    """
    if text in ("", ".", "..") or not text.isprintable():
        raise CannotExpress("This model's name cannot be part of a URL.", param="model")
    return quote(text, safe=":@")


def path_segments(text: str) -> str:
    """Quote each part of a name like `owner/name` as one segment."""
    return "/".join(path_segment(part) for part in text.split("/"))


def is_host(provider: Provider, access: Access, host: str) -> bool:
    """Tell whether calls go to this host or a subdomain (regional hosts)."""
    name = urlsplit(base_of(provider, access)).hostname or ""
    return name == host or name.endswith("." + host)


def post_json(
    url: str, headers: Mapping[str, str], body: Mapping[str, Any], *, stream: bool = False
) -> Call:
    """Build a POST of `body`.

    Raises:
        CannotExpress: if JSON cannot represent it (lone surrogates).
    """
    try:
        data = exact_json.dumps(body)
    except (TypeError, ValueError) as error:
        raise CannotExpress(
            "The request contains a value that cannot be written as JSON."
        ) from error
    accept = "text/event-stream" if stream else "application/json"
    return Call(
        "POST", url, {**headers, "Content-Type": "application/json", "Accept": accept}, data, stream
    )


def get(url: str, headers: Mapping[str, str], *, accept: frozenset[int] = frozenset()) -> Call:
    return Call("GET", url, {**headers, "Accept": "application/json"}, accept=accept)


def media_type(reply: Reply) -> str:
    return reply.headers.get("content-type", "").split(";", 1)[0].strip().lower()


def is_web_page(reply: Reply) -> bool:
    return media_type(reply) in ("text/html", "application/xhtml+xml") or begins_web_page(
        reply.body
    )


def begins_web_page(body: bytes) -> bool:
    return body[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))


def json_or_none(body: bytes) -> Any:
    """Parse the body, or return None if it is not JSON, even leniently, or has too many values."""
    try:
        return long_json.loads(body)
    except long_json.TooManyValues:
        return None
    except ValueError:
        return parse_leniently(body)


def value_of(reply: Reply) -> Any:
    """Return the body's value as json_or_none does, to be read and not changed.

    read_object takes it, so that most answers are parsed once.
    """
    if reply.value is None:
        reply.value = json_or_none(reply.body)
    return reply.value


def read_object(reply: Reply) -> dict[str, Any]:
    """Parse the JSON object of a successful answer, which the caller may change.

    Raises:
        ProviderError: NOT_AN_API for a web page, ERROR for anything else.
    """
    body, reply.value = value_of(reply), None
    if isinstance(body, dict):
        return body
    raise unreadable(reply)


def unreadable(reply: Reply) -> ProviderError:
    if is_web_page(reply):
        return ProviderError(Failure.NOT_AN_API, Reason("web_page"), status=reply.status)
    return ProviderError(Failure.ERROR, Reason("unreadable"), status=reply.status)


def not_a_list() -> ProviderError:
    return ProviderError(Failure.NOT_AN_API, Reason("not_a_list"), status=200)


_RESET = re.compile(r"(?:x-|anthropic-)?ratelimit-(?:reset(?:-[a-z-]+)?|[a-z-]+-reset)")
_DURATION = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCH = 1_000_000_000  # a larger number is a point in time, not a duration


def seconds_until_retry(headers: Mapping[str, str], *, throttled: bool = False) -> float | None:
    """Return the seconds the provider asks to wait, at most a day, or None if it does not say.

    Reads `retry-after-ms` and `retry-after` (seconds or a date), then the `-reset` headers of rate
    limits whose `-remaining` header is 0. Points in time are compared with the answer's own Date,
    because clocks differ.

    Args:
        throttled: whether the answer was a 429. Then one limit is used up even if no header
            says so, and the earliest reset counts.
    """
    now = _timestamp(headers.get("date", "")) or time.time()
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if (seconds := _seconds(headers.get(name, ""), now)) is not None:
            return min(seconds / unit, LONGEST_WAIT)
    resets = [
        (headers.get(name.replace("reset", "remaining")), seconds)
        for name, text in headers.items()
        if _RESET.fullmatch(name) and (seconds := _seconds(text, now)) is not None
    ]
    spent = [seconds for remaining, seconds in resets if remaining == "0"]
    if spent:
        return min(max(spent), LONGEST_WAIT)
    return (
        min(*(seconds for _remaining, seconds in resets), LONGEST_WAIT)
        if throttled and resets
        else None
    )


def wait_asked_for(reply: Reply) -> float | None:
    """Return seconds_until_retry of an error reply."""
    return seconds_until_retry(reply.headers, throttled=reply.status == 429)


def _seconds(text: str, now: float) -> float | None:
    """Convert a header's value to seconds from now: a number, a duration such as 6m0s, or a
    time.
    """
    text = text.strip()
    if not text:
        return None
    try:
        seconds = float(text)
        if seconds > _EPOCH:
            seconds = (seconds / 1000 if seconds > 1000 * _EPOCH else seconds) - now
    except ValueError:
        if match := _DURATION.fullmatch(text):
            seconds = sum(
                float(part) * unit
                for part, unit in zip(match.groups(), _UNITS, strict=True)
                if part
            )
        else:
            then = _timestamp(text)
            seconds = -1.0 if then is None else then - now
    return seconds if 0 <= seconds < float("inf") else None


def _timestamp(text: str) -> float | None:
    """Convert an HTTP or RFC 3339 date to seconds since 1970."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (TypeError, ValueError, IndexError, OverflowError):
            continue
    return None


_BY_STATUS: dict[int, Failure] = {
    400: Failure.BAD_REQUEST,
    401: Failure.AUTH,
    402: Failure.NO_FUNDS,
    403: Failure.PERMISSION,
    404: Failure.NOT_AN_API,
    405: Failure.NOT_AN_API,
    408: Failure.TIMEOUT,
    410: Failure.MODEL_NOT_FOUND,
    413: Failure.BAD_REQUEST,
    415: Failure.BAD_REQUEST,
    422: Failure.BAD_REQUEST,
    429: Failure.RATE_LIMIT,
    503: Failure.OVERLOADED,
    504: Failure.TIMEOUT,
    529: Failure.OVERLOADED,
}


def failure_of_status(status: int) -> Failure:
    """Classify a status whose body says nothing known."""
    if 300 <= status < 400:
        return Failure.NOT_AN_API
    return _BY_STATUS.get(status, Failure.ERROR)


def plain_error(reply: Reply) -> ProviderError:
    """Return the error of a reply whose body is not in the provider's form, by its status.

    A text is repeated, but no page of a proxy, and nothing of an address without an API.
    """
    failure = failure_of_status(reply.status)
    message: str | Reason = Reason("http_status", status=reply.status)
    if failure is Failure.NOT_AN_API:
        message = Reason("no_api", status=reply.status)
    elif not is_web_page(reply) and (text := _text_of(reply.body)):
        message = text
    return ProviderError(failure, message, status=reply.status, retry_after=wait_asked_for(reply))


def _text_of(body: bytes) -> str:
    """Return a short text; an empty one for markup and for binary data."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return ""
    is_text = len(text) <= LONGEST_ERROR and not text.startswith("<") and "\0" not in text
    return text if is_text and text not in ("{}", "[]", "null", '""') else ""

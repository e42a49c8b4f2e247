"""What every wire needs of HTTP: addresses, calls with a JSON body, answers read with care."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from providers.errors import CannotExpress, Failure, ProviderError
from providers.spec import Access, Call, Provider, Reply

Auth = Callable[[Access], dict[str, str]]

_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?\Z")
SHOWN_CHARACTERS = 300  # of a provider's error text


def bearer(name: str) -> Auth:
    """Credential -> `Authorization: Bearer`, with no header at all where the field was left empty."""

    def auth(access: Access) -> dict[str, str]:
        key = access.model_values.get(name) or access.values.get(name, "")
        return {"Authorization": f"Bearer {key}"} if key else {}

    return auth


def base_of(provider: Provider, access: Access) -> str:
    """The base URL that is really used, without a slash at its end.

    Raises CannotExpress where neither the tenant nor the provider has one.
    """
    base = (access.base_url or provider.default_base_url).rstrip("/")
    if not base:
        raise CannotExpress("No base URL is set for this server.", param="base_url")
    return base


def url_of(provider: Provider, access: Access, path: str, *, version: str = "/v1") -> str:
    """Address of one endpoint.

    People type a base URL with or without the API's version; it is put in where no segment of the path looks like one.
    """
    base = base_of(provider, access)
    segments = urlsplit(base).path.split("/")
    has_version = not version or any(_VERSION.match(segment) for segment in segments)
    return f"{base}{'' if has_version else version}{path}"


def path_segment(text: str) -> str:
    """A name as one segment of a URL's path. Raises CannotExpress for what would be another path: empty, "." and ".."."""
    if text in ("", ".", "..") or not text.isprintable():
        raise CannotExpress("This model's name cannot be part of an address.", param="model")
    return quote(text, safe=":@")


def path_segments(text: str) -> str:
    """`owner/name` and its like: every part as one segment."""
    return "/".join(path_segment(part) for part in text.split("/"))


def is_host(provider: Provider, access: Access, host: str) -> bool:
    """Whether calls go to this host or to one below it (regional hosts)."""
    name = urlsplit(base_of(provider, access)).hostname or ""
    return name == host or name.endswith("." + host)


def post_json(url: str, headers: Mapping[str, str], body: Mapping[str, Any], *, stream: bool = False) -> Call:
    """A POST of `body`. Raises CannotExpress for what JSON cannot hold (numbers beyond 64 bits, lone surrogates)."""
    try:
        data = orjson.dumps(body)
    except (TypeError, ValueError) as problem:
        raise CannotExpress("The request holds a value that cannot be written as JSON.") from problem
    accept = "text/event-stream" if stream else "application/json"
    return Call("POST", url, {**headers, "Content-Type": "application/json", "Accept": accept}, data, stream)


def get(url: str, headers: Mapping[str, str], *, accept: frozenset[int] = frozenset()) -> Call:
    return Call("GET", url, {**headers, "Accept": "application/json"}, accept=accept)


def media_type(reply: Reply) -> str:
    return reply.headers.get("content-type", "").split(";", 1)[0].strip().lower()


def is_web_page(reply: Reply) -> bool:
    start = reply.body[:200].lstrip().lower()
    return media_type(reply) in ("text/html", "application/xhtml+xml") or start.startswith((b"<!doctype", b"<html"))


def json_or_none(body: bytes) -> Any:
    """The parsed body, None where it is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def read_object(reply: Reply) -> dict[str, Any]:
    """The JSON object of a successful answer.

    Raises ProviderError: NOT_AN_API for a web page, ERROR for anything else that is no JSON object.
    """
    body = json_or_none(reply.body)
    if isinstance(body, dict):
        return body
    raise unreadable(reply)


def unreadable(reply: Reply) -> ProviderError:
    if is_web_page(reply):
        return ProviderError(Failure.NOT_AN_API, "The address answered with a web page, not with an API.", status=reply.status)
    return ProviderError(Failure.ERROR, "The provider's answer could not be read.", status=reply.status)


def not_a_list() -> ProviderError:
    return ProviderError(Failure.NOT_AN_API, "The address answered, but not with a list of models.", status=200)


def seconds_until_retry(headers: Mapping[str, str]) -> float | None:
    """Seconds from `retry-after-ms` or `retry-after`; dates are not read (clocks differ), None then."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= seconds < 31 * 24 * 3600:
            return seconds
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
    """What a status means where the body says nothing we know."""
    if 300 <= status < 400:
        return Failure.NOT_AN_API
    return _BY_STATUS.get(status, Failure.ERROR)


def plain_error(reply: Reply) -> ProviderError:
    """The error of an answer whose body is not of the provider's form: only the status speaks.

    A page or a text of a proxy is not repeated: it may be long, and it is not the provider's word.
    """
    failure = failure_of_status(reply.status)
    message = f"The provider answered with HTTP status {reply.status}."
    if failure is Failure.NOT_AN_API:
        message = f"The address answered with HTTP status {reply.status}: there is no such API at this address."
    return ProviderError(failure, message, status=reply.status, retry_after=seconds_until_retry(reply.headers))

"""The rule of outbound calls: which addresses may be reached, and one spelling for what people
type. Pure.

Both transports ask it twice: `check_url` before a request, `check_address` inside their connect, on
the very address the socket will use. `allow` holds exact origins ("http://127.0.0.1:9001") that the
operator lets through.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from providers.failures.reasons import Reason
from providers.transport.addresses import IPAddress, is_never, is_public, parse_address
from providers.transport.steps import TransportFailure

MAX_URL = 300  # characters of a base URL
PORTS = {"http": 80, "https": 443}
_LOCAL_NAMES = (
    "localhost",
    "local",
    "internal",
    "localdomain",
    "lan",
    "intranet",
    "corp",
    "home",
    "arpa",
    "onion",
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|\d+)\Z")
_PATH = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:%/]*\Z")


class Refused(TransportFailure, ValueError):
    """An address or URL that may not be used; nothing was sent."""

    def __init__(self, code: str, *, allow: str = "", **values: str | int) -> None:
        """code: of the Reason. allow: the origin that the operator may let through, named in a
        hint.
        """
        TransportFailure.__init__(
            self, "refused_address", Reason(code, allow=allow, **values), sent=False
        )


def normalise_base_url(text: str) -> str:
    """One spelling of a typed base URL: lower case, ASCII host, no default port, no slash at its
    end.

    text: what a person typed; without a scheme, https is meant. Raises Refused (a ValueError) for
    what is no plain http(s) URL: credentials, query, fragment, odd characters, dot segments, IP
    addresses in odd spellings.
    """
    text = unicodedata.normalize("NFKC", text.strip())
    if not text or len(text) > MAX_URL:
        raise Refused("url_length", most=MAX_URL)
    if re.search(r"[\x00-\x20\x7f-\xa0\\<>\"^`{|}\u2000-\u206f\ufeff]", text):
        raise Refused("url_characters")
    if "://" not in text:
        text = f"https://{text}"
    parts = _split(text)
    if parts.scheme not in PORTS:
        raise Refused("url_scheme")
    if "@" in parts.netloc:
        raise Refused("url_login")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise Refused("url_query")
    host = normalise_host(_host_of(parts))
    port = _port_of(parts)
    shown = "" if port == PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{shown}{_path_of(parts.path)}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise Refused("url_invalid") from None


def _host_of(parts: SplitResult) -> str:
    try:
        host: str | None = parts.hostname
    except ValueError:
        host = None
    if not host:
        raise Refused("url_no_host")
    return f"[{host}]" if "[" in parts.netloc else host


def _port_of(parts: SplitResult) -> int:
    text = parts.netloc.rpartition("]")[2].partition(":")
    if not text[1]:
        return PORTS[parts.scheme]
    if not re.fullmatch(r"[0-9]{1,5}", text[2]) or not 0 < int(text[2]) < 65536:
        raise Refused("url_port")
    return int(text[2])


def _path_of(path: str) -> str:
    path = quote(path, safe="/%-._~!$&'()*+,;=:")
    plain = unquote(path)
    if (
        not _PATH.match(path)
        or any(segment in (".", "..") for segment in re.split(r"[/\\]", plain))
        or "//" in path
    ):
        raise Refused("url_segments")
    return path.rstrip("/")


def normalise_host(host: str) -> str:
    """Lower case, ASCII. Raises Refused for names that cannot be one, and for numbers that are no
    plain IPv4 address.
    """
    if host.startswith("["):
        return _bracketed(host[1:-1])
    try:
        name = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise Refused("url_host") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.match(label) for label in labels):
        raise Refused("url_host")
    if _NUMBER.match(labels[-1]):
        return _plain_ipv4(name)
    return name


def _bracketed(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise Refused("url_ipv6") from None
    if address.scope_id is not None:
        raise Refused("url_zone")
    return f"[{address.compressed}]"


def _plain_ipv4(name: str) -> str:
    """Only 1.2.3.4: octal, hexadecimal, short and whole-number spellings hide an address."""
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        raise Refused("url_ipv4") from None


@lru_cache(maxsize=4096)
def origin(url: str) -> str:
    """`scheme://host:port` of a URL, the port always there. Raises Refused for what is no http(s)
    URL.
    """
    parts = _split(url)
    if parts.scheme not in PORTS:
        raise Refused("other_scheme")
    return f"{parts.scheme}://{normalise_host(_host_of(parts))}:{_port_of(parts)}"


@lru_cache(maxsize=64)
def _origins(allow: frozenset[str]) -> frozenset[str]:
    found: set[str] = set()
    for entry in allow:
        try:
            found.add(origin(entry.strip()))
        except Refused:  # lets nothing through; `entry_problem` says so to the operator
            continue
    return frozenset(found)


def entry_problem(entry: str) -> str:
    """What is wrong with an entry of the operator's list, in English, "" where it is one origin
    such as http://127.0.0.1:11434.
    """
    if "://" not in entry:
        return "it has no scheme"
    if "*" in entry:
        return "patterns are not known"
    try:
        origin(entry)
    except Refused as problem:
        return str(problem.reason).rstrip(".")
    parts = urlsplit(entry)
    if "@" in parts.netloc or parts.path not in ("", "/") or "?" in entry or "#" in entry:
        return "it holds more than scheme, host and port"
    return ""


def is_allowed(origin_of_call: str, allow: Collection[str]) -> bool:
    """Whether the operator lets this very scheme, host and port through."""
    return bool(allow) and origin_of_call in _origins(frozenset(allow))


def check_url(url: str, *, allow: Collection[str], tenant_typed: bool) -> None:
    """Refuses what may not even be looked up.

    tenant_typed: the URL came from a tenant, so only https on port 443 to a public name. Raises
    Refused.
    """
    where = origin(url)
    if "@" in _split(url).netloc:
        raise Refused("called_with_login")
    if is_allowed(where, allow):
        return
    scheme, _, rest = where.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme != "https":
        raise Refused("only_https", allow=where)
    if tenant_typed and port != "443":
        raise Refused("only_443", allow=where)
    address = parse_address(host.strip("[]"))
    if address is not None:
        check_address(address, origin=where, allow=allow)
    elif "." not in host or host.rpartition(".")[2] in _LOCAL_NAMES:
        raise Refused("local_name", allow=where, host=host)


def check_address(ip: str | IPAddress, *, origin: str, allow: Collection[str]) -> None:
    """Refuses an address that a socket is about to use. origin: of the call, as `origin()` gives
    it. Raises Refused.
    """
    address = parse_address(ip) if isinstance(ip, str) else ip
    if address is None:
        raise Refused("no_ip_address")
    if is_public(address):
        return
    plain = getattr(address, "ipv4_mapped", None) or address
    if is_allowed(origin, allow) and (not is_never(plain) or _is_literal(origin, address)):
        return
    host = urlsplit(origin).hostname or ""
    raise Refused("not_public", allow=origin, host=host)


def _is_literal(origin_of_call: str, address: IPAddress) -> bool:
    return parse_address(urlsplit(origin_of_call).hostname or "") == address


def check_answers(answers: Sequence[Any], *, origin: str, allow: Collection[str]) -> None:
    """Refuses a whole look-up where one of its addresses may not be reached (getaddrinfo's tuples).
    Raises Refused.
    """
    if not answers:
        raise TransportFailure("dns", Reason("dns_empty"), sent=False)
    for *_rest, address in answers:
        check_address(str(address[0]), origin=origin, allow=allow)


def resolve_checked(
    host: str,
    port: int,
    *,
    origin: str,
    allow: Collection[str],
    look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo,
) -> Sequence[Any]:
    """One look-up, every answer checked: getaddrinfo's tuples, to be used as they are and never
    looked up again.

    Raises Refused, or TransportFailure "dns" where the name is not known.
    """
    try:
        answers = look_up(host.strip("[]"), port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TransportFailure("dns", Reason("dns"), sent=False) from None
    check_answers(answers, origin=origin, allow=allow)
    return answers

"""Egress rules: which addresses may be reached, and the normal form of base URLs. Pure.

Both transports apply them twice: `check_url` before a request, and `check_address` while
connecting, to the very address the socket will use. `allow` always holds exact origins that the
operator has allowed, such as "http://127.0.0.1:9001".
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
from providers.transport.addresses import IPAddress, is_always_blocked, is_public, parse_address
from providers.transport.failures import TransportFailure, not_sent

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
        """Build the refusal from a Reason's arguments.

        Args:
            code: The Reason's code.
            allow: The origin that the operator could allow, named in a hint.
            values: What the Reason's text is filled in with.
        """
        TransportFailure.__init__(
            self, "refused_address", Reason(code, allow=allow, **values), sent=False
        )


def normalise_base_url(text: str) -> str:
    """Normalise a typed base URL: lower-case ASCII host, no default port, no trailing slash.

    Args:
        text: What a person typed; https is assumed if there is no scheme.

    Raises:
        Refused: Not a plain HTTP(S) URL: it has credentials, a query, a fragment, unusual
            characters, dot segments, or an IP address in an unusual notation.
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
    """Convert a host to lower-case ASCII.

    Raises:
        Refused: An invalid name, or a number that is not a plain IPv4 address.
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
    """Accept only 1.2.3.4: octal, hexadecimal, short and integer notations hide an address."""
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        raise Refused("url_ipv4") from None


@lru_cache(maxsize=4096)
def origin(url: str) -> str:
    """Return `scheme://host:port` of a URL, always with the port.

    Raises:
        Refused: Not an HTTP(S) URL.
    """
    parts = _split(url)
    if parts.scheme not in PORTS:
        raise Refused("other_scheme")
    return f"{parts.scheme}://{normalise_host(_host_of(parts))}:{_port_of(parts)}"


@lru_cache(maxsize=64)
def _origins(allow: frozenset[str]) -> frozenset[str]:
    origins: set[str] = set()
    for entry in allow:
        try:
            origins.add(origin(entry.strip()))
        except Refused:  # allows nothing; `entry_problem` reports it to the operator
            continue
    return frozenset(origins)


def entry_problem(entry: str) -> str:
    """Describe what is wrong with an entry of the operator's list, in English; "" if valid."""
    if "://" not in entry:
        return "it has no scheme"
    if "*" in entry:
        return "patterns are not supported"
    try:
        origin(entry)
    except Refused as error:
        return str(error.reason).rstrip(".")
    parts = urlsplit(entry)
    if "@" in parts.netloc or parts.path not in ("", "/") or "?" in entry or "#" in entry:
        return "it has more than a scheme, host and port"
    return ""


def is_allowed(origin_of_call: str, allow: Collection[str]) -> bool:
    """Return whether the operator allows exactly this scheme, host and port."""
    return bool(allow) and origin_of_call in _origins(frozenset(allow))


def check_url(url: str, *, allow: Collection[str], tenant_typed: bool) -> None:
    """Refuse a URL whose host must not even be resolved.

    Args:
        url: The URL of a call, or a base URL.
        allow: Allowed origins.
        tenant_typed: Whether the URL came from a tenant: only port 443 is then allowed.

    Raises:
        Refused: The URL must not be called.
    """
    url_origin = origin(url)
    if "@" in _split(url).netloc:
        raise Refused("called_with_login")
    if is_allowed(url_origin, allow):
        return
    scheme, _, rest = url_origin.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme != "https":
        raise Refused("only_https", allow=url_origin)
    if tenant_typed and port != "443":
        raise Refused("only_443", allow=url_origin)
    address = parse_address(host.strip("[]"))
    if address is not None:
        check_address(address, origin=url_origin, allow=allow)
    elif "." not in host or host.rpartition(".")[2] in _LOCAL_NAMES:
        raise Refused("local_name", allow=url_origin, host=host)


def check_address(ip: str | IPAddress, *, origin: str, allow: Collection[str]) -> None:
    """Refuse an address that a socket is about to use.

    Args:
        ip: The address.
        origin: The call's origin, as returned by `origin()`.
        allow: Allowed origins.

    Raises:
        Refused: The address must not be reached.
    """
    address = parse_address(ip) if isinstance(ip, str) else ip
    if address is None:
        raise Refused("no_ip_address")
    if is_public(address):
        return
    plain = getattr(address, "ipv4_mapped", None) or address
    if is_allowed(origin, allow) and (not is_always_blocked(plain) or _is_literal(origin, address)):
        return
    host = urlsplit(origin).hostname or ""
    raise Refused("not_public", allow=origin, host=host)


def _is_literal(origin_of_call: str, address: IPAddress) -> bool:
    return parse_address(urlsplit(origin_of_call).hostname or "") == address


def check_resolved(infos: Sequence[Any], *, origin: str, allow: Collection[str]) -> None:
    """Refuse getaddrinfo's results if any of the addresses must not be reached.

    Raises:
        Refused: One of the addresses is not allowed.
        TransportFailure: There is no address.
    """
    if not infos:
        raise TransportFailure("dns", Reason("dns_empty"), sent=False)
    for *_rest, address in infos:
        check_address(str(address[0]), origin=origin, allow=allow)


def resolve_checked(
    host: str,
    port: int,
    *,
    origin: str,
    allow: Collection[str],
    look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo,
) -> Sequence[Any]:
    """Resolve a host once and check every address.

    Returns:
        getaddrinfo's results, to be used as they are without resolving the host again.

    Raises:
        Refused: One of the addresses is not allowed.
        TransportFailure: The host has no address.
    """
    try:
        infos = look_up(host.strip("[]"), port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise not_sent("dns") from None
    check_resolved(infos, origin=origin, allow=allow)
    return infos

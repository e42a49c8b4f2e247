"""Which URL a base URL leads to, shown to who types one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.errors import ServiceError
from providers.credentials.storing import split_base_url
from providers.credentials.validation import address
from providers.declaration.errors import CannotExpress, ProviderError
from providers.declaration.spec import Access, ModelFacts, Operation, Provider, Request
from providers.operations.table import OPERATIONS
from providers.wire.http import GuessedUrl

_MODEL: Final = "MODEL"  # stands for the model's name where a URL contains it
_KEYS: Final = ("api_key", "token")  # secrets that most calls need; nothing is sent


def called_urls(provider: Provider, values: Mapping[str, Any], base_url: str) -> Sequence[str]:
    """Return the URL of a call with a typed base URL, and the one that is tried after it.

    Args:
        values: Entered values that are not secret.

    Returns:
        URLs without their query; nothing if the base URL is invalid.
    """
    try:
        typed, url = split_base_url(provider, values, base_url)
        base = address(provider, typed, url or "")
        return _urls(provider, Access({**dict.fromkeys(_KEYS, "key"), **typed}, base))
    except (ServiceError, CannotExpress, ProviderError, LookupError, ValueError):
        return ()


def _urls(provider: Provider, access: Access) -> Sequence[str]:
    operation = Operation.CHAT if Operation.CHAT in provider.operations else None
    if operation is None:
        operation = next(iter(provider.operations))
    body = {"model": _MODEL, **OPERATIONS[operation].probe}
    make = provider.operations[operation]
    exchange = make(provider, Request(operation, _MODEL, body), access, ModelFacts(_MODEL))
    try:
        url = next(exchange).url
    finally:
        exchange.close()
    urls = (url, url.other) if isinstance(url, GuessedUrl) else (url,)
    return [each.partition("?")[0] for each in urls]

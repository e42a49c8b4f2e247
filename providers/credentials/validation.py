"""Validation of values entered for a provider's declared fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from core.errors import ServiceError
from providers.declaration.spec import Field, Kind, Operation, Provider
from providers.transport import egress

MAX_LENGTH = 4000  # characters of one value
BASE_URL = "base_url"


@dataclass(frozen=True, slots=True)
class Values:
    """Cleaned, non-empty values: `public` ones may be stored as they are, `secret` ones sealed."""

    public: dict[str, str]
    secret: dict[str, str]


class InvalidValue(ServiceError):
    """An invalid value of `field`."""

    def __init__(self, message: str, field: str | None) -> None:
        super().__init__("invalid_value", message, field=field)


def clean(
    fields: Sequence[Field],
    values: Mapping[str, Any],
    *,
    stored: Iterable[str] = (),
    optional: bool = False,
) -> Values:
    """Check values against the declared fields.

    Args:
        fields: The declared fields.
        values: By field name.
        stored: Secret fields that may be empty because they have a stored value.
        optional: Whether all fields may be empty, such as a model's own credential fields.

    Raises:
        InvalidValue: A value is invalid or missing.
        ServiceError: `unknown_field` for a field that is not declared.
    """
    declared = {field.name: field for field in fields}
    for name in values:
        if name not in declared:
            raise ServiceError(
                "unknown_field",
                _("There is no field “%(name)s” here.") % {"name": str(name)[:60]},
                field=str(name)[:60],
            )
    public: dict[str, str] = {}
    secret: dict[str, str] = {}
    for field in fields:
        text = _text(field, values.get(field.name))
        if text:
            (secret if field.secret else public)[field.name] = text
        elif field.required and not optional and field.name not in stored:
            raise InvalidValue(_("%(label)s is required.") % {"label": field.label}, field.name)
    return Values(public, secret)


def require_complete(provider: Provider, values: Values) -> None:
    """Check rules that involve several fields.

    Raises:
        InvalidValue: With the adapter's message.
    """
    missing = (
        provider.complete(values.public | values.secret) if provider.complete is not None else ""
    )
    if missing:
        raise InvalidValue(missing, None)


def _text(field: Field, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidValue(_("%(label)s must be text.") % {"label": field.label}, field.name)
    text = value.strip()
    if len(text) > MAX_LENGTH:
        raise InvalidValue(_("%(label)s is too long.") % {"label": field.label}, field.name)
    if field.secret and not _is_key(text):
        message = _(
            "%(label)s contains a space or a character that is never part of a key. Copy "
            "only the key, without quotes or other text."
        )
        raise InvalidValue(message % {"label": field.label}, field.name)
    if not text.isprintable():
        raise InvalidValue(
            _("%(label)s contains a line break or an invisible character.")
            % {"label": field.label},
            field.name,
        )
    if text and field.choices and text not in {choice for choice, _label in field.choices}:
        raise InvalidValue(
            _("Choose one of the listed values for %(label)s.") % {"label": field.label}, field.name
        )
    return text


def _is_key(text: str) -> bool:
    """Return whether a text is printable ASCII without spaces, and so safe in an HTTP header."""
    return all("!" <= character <= "~" for character in text)


def clean_base_url(provider: Provider, text: str) -> str:
    """Normalise a base URL; return an empty text for the provider's own.

    Raises:
        InvalidValue: The URL is invalid or not allowed, or it is missing and the provider has none.
    """
    text = text.strip()
    if not text:
        if not provider.default_base_url and not provider.local:
            raise InvalidValue(
                _("%(provider)s needs a base URL: the address of your server.")
                % {"provider": provider.label},
                BASE_URL,
            )
        return ""
    try:
        url = without_endpoint(egress.normalise_base_url(text))
        egress.check_url(url, allow=settings.MODELKEEP_EGRESS_ALLOW, tenant_typed=True)
    except egress.Refused as error:
        raise InvalidValue(_missing_scheme(text) or error.reason.describe(_), BASE_URL) from None
    return "" if url == provider.default_base_url else url


# Ends of addresses that documentation shows, and people copy whole.
_ENDPOINTS = sorted(
    (
        f"/{path}"
        for path in (*(operation.path for operation in Operation), "messages", "responses")
    ),
    key=len,
    reverse=True,
)


def without_endpoint(url: str) -> str:
    """Return the base URL of a URL that may be the whole address of an endpoint."""
    ending = next((ending for ending in _ENDPOINTS if url.endswith(ending)), "")
    return url.removesuffix(ending)


def derived_base_url(provider: Provider, values: Mapping[str, str]) -> str:
    """Return the base URL that follows from other values, such as a region.

    Returns:
        The URL; empty for the provider's own.

    Raises:
        InvalidValue: The values do not form a valid URL.
    """
    if provider.base_url_of is None:
        return ""
    try:
        url = provider.base_url_of(values)
    except ValueError as error:
        raise InvalidValue(str(error), None) from None
    return clean_base_url(provider, url) if url else ""


def address(provider: Provider, values: Mapping[str, str], typed: str) -> str:
    """Return the base URL to store: the typed one, or the one that follows from other values.

    Returns:
        The URL; empty for the provider's own.

    Raises:
        InvalidValue: The URL is invalid, not allowed, or missing.
    """
    url = typed.strip() or derived_base_url(provider, values)
    # Each hosted model may have its own address.
    if (
        not url
        and provider.kind is Kind.HOSTING
        and any(field.name == BASE_URL for field in provider.model_fields)
    ):
        return ""
    return clean_base_url(provider, url)


def typed_base_url(provider: Provider, values: Mapping[str, str], stored: str) -> str:
    """Return a stored base URL as it was typed; empty if it follows from other values."""
    try:
        return "" if stored == derived_base_url(provider, values) else stored
    except InvalidValue:
        return stored


def _missing_scheme(text: str) -> str:
    """Return the message for a refused address without a scheme; empty if it has one."""
    if "://" in text:
        return ""
    try:
        egress.normalise_base_url(text)
        origin = egress.origin(f"http://{text}")
    except egress.Refused:
        return ""
    return _(
        "Start the base URL with https://, or with http:// for a server that the "
        "operator has allowed (%(origin)s in MODELKEEP_EGRESS_ALLOW)."
    ) % {"origin": origin}


def foreign_key(provider: Provider, values: Mapping[str, str], others: Iterable[Provider]) -> str:
    """Return a hint if a key certainly belongs to another provider; otherwise an empty text.

    That is the case if only one provider's keys have its prefix.
    """
    others = list(others)
    for field, text in _prefixed(provider, values):
        prefix, owners = _guess(text, others)
        if prefix != field.prefix and len(owners) == 1:
            return _looks_like(provider, field, owners[0], prefix)
    return ""


def shape_hint(provider: Provider, values: Mapping[str, str], others: Iterable[Provider]) -> str:
    """Return a hint if a key does not look like one of the provider's; otherwise an empty text."""
    others = list(others)
    for field, text in _prefixed(provider, values):
        prefix, owners = _guess(text, others)
        if prefix != field.prefix and owners and provider not in owners:
            return _looks_like(provider, field, owners[0], prefix)
        if not text.startswith(field.prefix):
            return _("%(provider)s keys start with %(own)s.") % {
                "provider": provider.label,
                "own": field.prefix,
            }
    return ""


def _prefixed(provider: Provider, values: Mapping[str, str]) -> list[tuple[Field, str]]:
    """Return the entered keys whose fields have a known prefix."""
    return [
        (field, values[field.name])
        for field in provider.credential_fields
        if field.secret and field.prefix and values.get(field.name)
    ]


def _guess(text: str, others: Sequence[Provider]) -> tuple[str, list[Provider]]:
    """Return the longest known prefix of a key, and the providers it identifies."""
    prefixes = [
        (field.prefix, other)
        for other in others
        for field in other.credential_fields
        if field.secret and field.prefix
    ]
    matches = [prefix for prefix, _other in prefixes if text.startswith(prefix)]
    longest = max(matches, key=len, default="")
    return longest, [other for prefix, other in prefixes if prefix == longest]


def _looks_like(provider: Provider, field: Field, other: Provider, prefix: str) -> str:
    values = {
        "other": other.label,
        "prefix": prefix,
        "provider": provider.label,
        "own": field.prefix,
    }
    if str(other.label)[:1].upper() in "AEIOU":
        return (
            _(
                "This looks like an %(other)s key (%(prefix)s…). %(provider)s keys start with "
                "%(own)s."
            )
            % values
        )
    return (
        _("This looks like a %(other)s key (%(prefix)s…). %(provider)s keys start with %(own)s.")
        % values
    )

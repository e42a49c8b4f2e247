"""What a person or program typed for a provider's fields: checked against what the adapter
declares, and split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from core.errors import ServiceError
from providers.declaration.spec import Field, Kind, Provider
from providers.transport import egress

MAX_LENGTH = 4000  # characters of one value
BASE_URL = "base_url"


@dataclass(frozen=True, slots=True)
class Values:
    """Cleaned values: `public` may be stored as they are, `secret` only sealed. Empty ones are left
    out.
    """

    public: dict[str, str]
    secret: dict[str, str]


class InvalidValue(ServiceError):
    """A value that a field cannot hold; `field` says which."""

    def __init__(self, message: str, field: str | None) -> None:
        super().__init__("invalid_value", message, field=field)


def clean(
    fields: Sequence[Field],
    values: Mapping[str, Any],
    *,
    kept: Iterable[str] = (),
    optional: bool = False,
) -> Values:
    """Check typed values against the declared fields.

    kept: names of secret fields that may be left empty because a value is stored already.
    optional: nothing is required (fields of a credential that a single model may bring along).
    Raises InvalidValue, and ServiceError `unknown_field`.
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
        elif field.required and not optional and field.name not in kept:
            raise InvalidValue(_("%(label)s is required.") % {"label": field.label}, field.name)
    return Values(public, secret)


def require_complete(provider: Provider, values: Values) -> None:
    """Fields may each be optional and yet some be needed. Raises InvalidValue with the adapter's
    words.
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
            "%(label)s holds a blank or a character that no key has. Copy the key alone, without "
            "quotes or other text."
        )
        raise InvalidValue(message % {"label": field.label}, field.name)
    if not text.isprintable():
        raise InvalidValue(
            _("%(label)s holds a line break or an invisible character.") % {"label": field.label},
            field.name,
        )
    if text and field.choices and text not in {choice for choice, _label in field.choices}:
        raise InvalidValue(
            _("%(label)s must be one of the given choices.") % {"label": field.label}, field.name
        )
    return text


def _is_key(text: str) -> bool:
    """Printable ASCII without blanks: a key travels in a header, where anything else is cut,
    refused or a second header.
    """
    return all("!" <= character <= "~" for character in text)


def clean_base_url(provider: Provider, text: str) -> str:
    """The normalised base URL, "" for the provider's own.

    Raises InvalidValue for what is no URL, is missing where the provider has none of its own, or
    may not be reached.
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
        url = egress.normalise_base_url(text)
        egress.check_url(url, allow=settings.MODELKEEP_EGRESS_ALLOW, tenant_typed=True)
    except egress.Refused as error:
        raise InvalidValue(_ask_for_a_scheme(text) or error.reason.describe(_), BASE_URL) from None
    return "" if url == provider.default_base_url else url


def derived_base_url(provider: Provider, values: Mapping[str, str]) -> str:
    """The address that follows from the other values, such as a region; "" for the provider's own.
    Raises InvalidValue.
    """
    if provider.base_url_of is None:
        return ""
    try:
        url = provider.base_url_of(values)
    except ValueError as problem:
        raise InvalidValue(str(problem), None) from None
    return clean_base_url(provider, url) if url else ""


def address(provider: Provider, values: Mapping[str, str], typed: str) -> str:
    """The base URL to store: what was typed, else what follows from the other values; "" for the
    provider's own. Raises InvalidValue.
    """
    url = typed.strip() or derived_base_url(provider, values)
    # Hosting: each model may bring its own address.
    if (
        not url
        and provider.kind is Kind.HOSTING
        and any(field.name == BASE_URL for field in provider.model_fields)
    ):
        return ""
    return clean_base_url(provider, url)


def typed_base_url(provider: Provider, values: Mapping[str, str], stored: str) -> str:
    """A stored address as it was typed: "" where it only follows from the other values."""
    try:
        return "" if stored == derived_base_url(provider, values) else stored
    except InvalidValue:
        return stored


def _ask_for_a_scheme(text: str) -> str:
    """What to say of a refused address that was typed without a scheme; "" where that is not what
    is wrong.
    """
    if "://" in text:
        return ""
    try:
        egress.normalise_base_url(text)
        where = egress.origin(f"http://{text}")
    except egress.Refused:
        return ""
    return _(
        "Begin the base URL with https://, or with http:// for a server that the operator has "
        "allowed "
        "(%(origin)s in MODELKEEP_EGRESS_ALLOW)."
    ) % {"origin": where}


def foreign_key(provider: Provider, values: Mapping[str, str], others: Iterable[Provider]) -> str:
    """What to say where a key is surely another provider's, because keys of one provider alone
    begin like it; else "".
    """
    others = list(others)
    for field, text in _prefixed(provider, values):
        prefix, owners = _guess(text, others)
        if prefix != field.prefix and len(owners) == 1:
            return _looks_like(provider, field, owners[0], prefix)
    return ""


def shape_hint(provider: Provider, values: Mapping[str, str], others: Iterable[Provider]) -> str:
    """A hint, never a refusal, where a key does not look like the provider's; "" where nothing is
    odd.
    """
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
    """The typed keys of which is known how they begin."""
    return [
        (field, values[field.name])
        for field in provider.credential_fields
        if field.secret and field.prefix and values.get(field.name)
    ]


def _guess(text: str, others: Sequence[Provider]) -> tuple[str, list[Provider]]:
    """How the key begins, and whose keys begin so. Of two prefixes that fit, the longer one is the
    better guess.
    """
    known = [
        (own.prefix, other)
        for other in others
        for own in other.credential_fields
        if own.secret and own.prefix
    ]
    best = max((prefix for prefix, _other in known if text.startswith(prefix)), key=len, default="")
    return best, [other for prefix, other in known if prefix == best]


def _looks_like(provider: Provider, field: Field, other: Provider, prefix: str) -> str:
    told = {"other": other.label, "prefix": prefix, "provider": provider.label, "own": field.prefix}
    if str(other.label)[:1].upper() in "AEIOU":
        return (
            _(
                "This looks like an %(other)s key (%(prefix)s…). %(provider)s keys start with "
                "%(own)s."
            )
            % told
        )
    return (
        _("This looks like a %(other)s key (%(prefix)s…). %(provider)s keys start with %(own)s.")
        % told
    )

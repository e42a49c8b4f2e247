"""Parsing of pasted .env lines, and recognition of the provider that each value belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from django.utils.translation import gettext as _

from core.errors import ServiceError
from providers.credentials.validation import MAX_LENGTH
from providers.declaration import registry
from providers.declaration.spec import Field, Provider
from providers.models import NAME_LENGTH

MOST_LINES = 50  # with a value
MOST_CHARACTERS = 64 * 1024
SHORTEST_KEY = 16  # characters
LONGEST_NAME = 60  # characters of a variable name
_LINE = re.compile(
    r"\s*(?:export\s+|set\s+|-\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*(?:=|:\s)\s*(?P<value>.*)\Z"
)


class How(StrEnum):
    """How the provider was recognised."""

    NAME = "name"  # from the variable's name
    SHAPE = "shape"  # from the key's prefix
    UNKNOWN = "unknown"  # may be a key, but of an unknown provider
    NO_KEY = "no_key"  # not a provider's key


@dataclass(frozen=True, slots=True)
class Line:
    """A line with a value. number: starts at 1. name: empty for a key without a name."""

    number: int
    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Values of one provider that may become a credential.

    Args:
        lines: Line numbers.
        names: Variable names as shown.
        how: How the provider was recognised.
        provider: Its slug; empty if unknown.
        label: The credential's name.
        values: By field name; by "" if the provider is unknown.
    """

    lines: tuple[int, ...]
    names: tuple[str, ...]
    how: How
    provider: str
    label: str
    values: dict[str, str] = field(repr=False)


def read(text: str) -> list[Line]:
    """Return the lines with a value.

    Raises:
        ServiceError: The text is too long, or it has no such line or more than MOST_LINES.
    """
    if len(text) > MOST_CHARACTERS:
        raise ServiceError(
            "too_long", _("The text is longer than 64 KiB. Import it in parts."), field="text"
        )
    rows = enumerate(text.lstrip("\ufeff").splitlines(), 1)
    lines = [line for number, row in rows if (line := _line(number, row)) is not None]
    if not lines:
        raise ServiceError(
            "nothing_found", _("No line of the form NAME=value was found."), field="text"
        )
    if len(lines) > MOST_LINES:
        message = _(
            "There are %(count)s lines with a value; at most %(most)s are imported at once. "
            "Import them in parts."
        )
        raise ServiceError(
            "too_many", message % {"count": len(lines), "most": MOST_LINES}, field="text"
        )
    return lines


def _line(number: int, row: str) -> Line | None:
    row = row.strip()
    if not row or row.startswith(("#", ";", "//")):
        return None
    parts = _LINE.match(row)
    # A key may end with "==", which looks like a name without a value.
    if parts is None or (not parts["value"].strip("=") and not _is_plain_name(parts["name"])):
        key = _unquoted(row)
        return Line(number, "", key) if _may_be_key(key) else None
    value = _unquoted(parts["value"])
    return Line(number, parts["name"], value) if value else None


def _is_plain_name(name: str) -> bool:
    """Return whether a text is certainly a variable name: short, or upper case with underscores."""
    return len(name) < SHORTEST_KEY or bool(
        re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", name) and len(name) <= LONGEST_NAME
    )


def shown(name: str) -> str:
    """Return a variable name for pages, or an ellipsis if it may be a key."""
    return name if _is_plain_name(name) else "…"


def _unquoted(value: str) -> str:
    """Remove quotes and a comment after the value."""
    value = value.strip()
    if value[:1] in ("'", '"') and value.find(value[0], 1) > 0:
        return value[1 : value.find(value[0], 1)].strip()
    # The look-behind matches a run of spaces only at its start; otherwise a long run would take
    # minutes.
    return re.split(r"(?<!\s)\s+#", value, maxsplit=1)[0].strip().rstrip(",")


def _may_be_key(value: str) -> bool:
    return (
        SHORTEST_KEY <= len(value) <= MAX_LENGTH
        and all("!" <= character <= "~" for character in value)
        and "://" not in value
    )


def recognise(lines: Sequence[Line]) -> list[Candidate]:
    """Return the candidates in line order.

    Values of one provider belong together if their variable names have the same suffix.
    """
    groups: dict[tuple[str, str], list[tuple[Line, str]]] = {}
    others: list[Candidate] = []
    for line in lines:
        match = _by_name(line.name)
        if match is None:
            others.append(_by_shape(line))
            continue
        provider, name, suffix = match
        key = (provider.slug, suffix)
        # The same variable twice means two credentials.
        while any(field == name for _line, field in groups.get(key, ())):
            key = (key[0], f"{key[1]}*")
        groups.setdefault(key, []).append((line, name))
    grouped = [
        _grouped(slug, suffix.rstrip("*"), members) for (slug, suffix), members in groups.items()
    ]
    return sorted([*grouped, *others], key=lambda candidate: candidate.lines)


def _by_name(variable: str) -> tuple[Provider, str, str] | None:
    """Return the provider, the field and the name's suffix ("BACKUP" in OPENAI_API_KEY_BACKUP)."""
    name = variable.upper().replace("-", "_").replace(".", "_")
    best: tuple[int, Provider, str, str] | None = None
    for provider, declared, env in _variables(registry.offered()):
        if (name == env or name.startswith(f"{env}_")) and (best is None or len(env) > best[0]):
            best = (len(env), provider, declared.name, name[len(env) + 1 :])
    return best[1:] if best is not None else None


def _variables(providers: Iterable[Provider]) -> list[tuple[Provider, Field, str]]:
    return [
        (provider, declared, env)
        for provider in providers
        for declared in provider.credential_fields
        for env in declared.env
    ]


def _grouped(slug: str, suffix: str, members: list[tuple[Line, str]]) -> Candidate:
    if any(shown(line.name) != line.name for line, _name in members):
        suffix = ""  # it may be a key, which must not be shown or stored unsealed
    label = suffix.replace("_", " ").strip().capitalize()[:NAME_LENGTH] or _("Imported")
    if label.isdecimal() and label.isascii():
        label = _("Key %(number)d") % {"number": int(label)}
    declared = {field.name: field for field in registry.get(slug).credential_fields}
    has_key = any(declared[name].secret for _line, name in members)
    return Candidate(
        lines=tuple(line.number for line, _name in members),
        names=tuple(shown(line.name) for line, _name in members),
        how=How.NAME if has_key else How.NO_KEY,
        provider=slug if has_key else "",
        label=label,
        values={name: line.value for line, name in members} if has_key else {},
    )


def _by_shape(line: Line) -> Candidate:
    """Recognise a key by its prefix if only one provider has the longest matching prefix."""
    number, names = (line.number,), (shown(line.name),) if line.name else ()
    matches = [
        (len(declared.prefix), provider.slug, declared.name)
        for provider in registry.offered()
        for declared in provider.credential_fields
        if _has_prefix(declared, line)
    ]
    longest = max((length for length, _slug, _name in matches), default=0)
    best = [(slug, name) for length, slug, name in matches if length == longest]
    if len(best) == 1:
        slug, name = best[0]
        return Candidate(number, names, How.SHAPE, slug, _("Imported"), {name: line.value})
    if best or (_may_be_key(line.value) and _is_named_like_key(line)):
        return Candidate(number, names, How.UNKNOWN, "", _("Imported"), {"": line.value})
    return Candidate(number, names, How.NO_KEY, "", "", {})


def _has_prefix(declared: Field, line: Line) -> bool:
    return bool(
        declared.secret
        and declared.prefix
        and line.value.startswith(declared.prefix)
        and _may_be_key(line.value)
    )


def _is_named_like_key(line: Line) -> bool:
    """Return whether a value is named like an API key, or has no name.

    Names of other services' secrets, such as a database password, do not count.
    """
    if re.search(
        r"(?i)(?:database|postgres|mysql|redis|django|flask|jwt|session|smtp|mail|aws|gcp|stripe"
        r"|github|gitlab|sentry)",
        line.name,
    ):
        return False
    return not line.name or bool(re.search(r"(?i)(?:api_?key|token|_key$|^key)", line.name))


def key_field(provider: Provider) -> Field | None:
    """Return the field for a single key; None if one key is not enough."""
    secrets = [field for field in provider.credential_fields if field.secret]
    required = [field for field in secrets if field.required] or secrets[:1]
    return required[0] if len(required) == 1 else None

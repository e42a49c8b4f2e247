"""Reads pasted lines of an environment file, and guesses which provider each value belongs to.
Nothing is sent, nothing is stored.
"""

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

MOST_LINES = 50  # that hold a value
MOST_CHARACTERS = 64 * 1024
SHORTEST_KEY = 16  # characters of a value that could be a key
LONGEST_NAME = 60  # characters of a variable's name that is shown
_LINE = re.compile(
    r"\s*(?:export\s+|set\s+|-\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*(?:=|:\s)\s*(?P<value>.*)\Z"
)


class How(StrEnum):
    """What told the provider."""

    NAME = "name"  # of the variable
    SHAPE = "shape"  # how the key starts
    UNKNOWN = "unknown"  # could be a key; nobody can say whose
    NO_KEY = "no_key"  # nothing of a provider


@dataclass(frozen=True, slots=True)
class Line:
    """One line that holds a value. number: counted from 1. name: "" for a key that stands alone."""

    number: int
    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may become one credential: the values of one provider that belong together.

    provider: its slug, "" where it is not known. values: by field of the provider; by "" where the
    provider is not known.
    """

    lines: tuple[int, ...]
    names: tuple[str, ...]
    how: How
    provider: str
    label: str  # of the credential
    values: dict[str, str] = field(repr=False)


def read(text: str) -> list[Line]:
    """The lines with a value. Raises ServiceError where there is none, or more than MOST_LINES."""
    if len(text) > MOST_CHARACTERS:
        raise ServiceError(
            "too_long", _("That is more than 64 KiB of text. Import it in parts."), field="text"
        )
    found = [
        line
        for number, row in enumerate(text.lstrip("\ufeff").splitlines(), 1)
        if (line := _line(number, row)) is not None
    ]
    if not found:
        raise ServiceError(
            "nothing_found", _("No line of the form NAME=value was found."), field="text"
        )
    if len(found) > MOST_LINES:
        message = _(
            "There are %(count)s lines with a value; at most %(most)s are imported at once. "
            "Import them in parts."
        )
        raise ServiceError(
            "too_many", message % {"count": len(found), "most": MOST_LINES}, field="text"
        )
    return found


def _line(number: int, row: str) -> Line | None:
    row = row.strip()
    if not row or row.startswith(("#", ";", "//")):
        return None
    parts = _LINE.match(row)
    if parts is None or (
        not parts["value"].strip("=") and not _is_plain_name(parts["name"])
    ):  # a key may end with "=="
        alone = _unquoted(row)
        return Line(number, "", alone) if _may_be_key(alone) else None
    value = _unquoted(parts["value"])
    return Line(number, parts["name"], value) if value else None


def _is_plain_name(name: str) -> bool:
    """Whether a text is surely a variable's name and no key: written large with underscores, or
    short.
    """
    return len(name) < SHORTEST_KEY or bool(
        re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", name) and len(name) <= LONGEST_NAME
    )


def shown(name: str) -> str:
    """A variable's name for a page; dots for what could be a key that stands before an equals sign."""
    return name if _is_plain_name(name) else "…"


def _unquoted(value: str) -> str:
    """Without quotes, and without a remark after the value."""
    value = value.strip()
    if value[:1] in ("'", '"') and value.find(value[0], 1) > 0:
        return value[1 : value.find(value[0], 1)].strip()
    # A run of blanks is looked at from its beginning only: from each of its places, a long one
    # would take minutes.
    return re.split(r"(?<!\s)\s+#", value, maxsplit=1)[0].strip().rstrip(",")


def _may_be_key(value: str) -> bool:
    return (
        SHORTEST_KEY <= len(value) <= MAX_LENGTH
        and all("!" <= one <= "~" for one in value)
        and "://" not in value
    )


def recognise(lines: Sequence[Line]) -> list[Candidate]:
    """The credentials that the lines make, in their order. Values of one provider with the same
    ending of their names go together.
    """
    grouped: dict[tuple[str, str], list[tuple[Line, str]]] = {}
    others: list[Candidate] = []
    for line in lines:
        known = _by_name(line.name)
        if known is None:
            others.append(_by_shape(line))
            continue
        provider, name, ending = known
        place = (provider.slug, ending)
        while any(
            own == name for _line, own in grouped.get(place, ())
        ):  # the same variable twice: two credentials
            place = (place[0], f"{place[1]}*")
        grouped.setdefault(place, []).append((line, name))
    named = [
        _grouped(slug, ending.rstrip("*"), members) for (slug, ending), members in grouped.items()
    ]
    return sorted([*named, *others], key=lambda one: one.lines)


def _by_name(variable: str) -> tuple[Provider, str, str] | None:
    """Provider, field and ending of a variable's name, such as "BACKUP" in OPENAI_API_KEY_BACKUP."""
    wanted = variable.upper().replace("-", "_").replace(".", "_")
    best: tuple[int, Provider, str, str] | None = None
    for provider, one, known in _variables(registry.offered()):
        if (wanted == known or wanted.startswith(f"{known}_")) and (
            best is None or len(known) > best[0]
        ):
            best = (len(known), provider, one.name, wanted[len(known) + 1 :])
    return best[1:] if best is not None else None


def _variables(providers: Iterable[Provider]) -> list[tuple[Provider, Field, str]]:
    return [
        (provider, one, known)
        for provider in providers
        for one in provider.credential_fields
        for known in one.env
    ]


def _grouped(slug: str, ending: str, members: list[tuple[Line, str]]) -> Candidate:
    if any(shown(line.name) != line.name for line, _name in members):
        ending = ""  # what could be a key is shown nowhere, and kept nowhere but sealed
    label = ending.replace("_", " ").strip().capitalize()[:NAME_LENGTH] or _("Imported")
    if label.isdecimal() and label.isascii():
        label = _("Key %(number)d") % {"number": int(label)}
    declared = {one.name: one for one in registry.get(slug).credential_fields}
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
    """A key that only one provider's keys start like; of two prefixes that fit, the longer one
    counts.
    """
    names = (shown(line.name),) if line.name else ()
    fitting = sorted(
        (
            (len(one.prefix), provider.slug, one.name)
            for provider in registry.offered()
            for one in provider.credential_fields
            if _fits(one, line)
        ),
        reverse=True,
    )
    longest = [one for one in fitting if one[0] == fitting[0][0]]
    if len(longest) == 1:
        return Candidate(
            (line.number,),
            names,
            How.SHAPE,
            longest[0][1],
            _("Imported"),
            {longest[0][2]: line.value},
        )
    if fitting or (_may_be_key(line.value) and _sounds_like_a_key(line)):
        return Candidate((line.number,), names, How.UNKNOWN, "", _("Imported"), {"": line.value})
    return Candidate((line.number,), names, How.NO_KEY, "", "", {})


def _fits(one: Field, line: Line) -> bool:
    return bool(
        one.secret and one.prefix and line.value.startswith(one.prefix) and _may_be_key(line.value)
    )


def _sounds_like_a_key(line: Line) -> bool:
    """A name that says so, or a text of letters and digits as nobody writes by hand. Passwords of
    other things are not asked about.
    """
    if re.search(
        r"(?i)(?:database|postgres|mysql|redis|django|flask|jwt|session|smtp|mail|aws|gcp|stripe|github|gitlab|sentry)",
        line.name,
    ):
        return False
    return not line.name or bool(re.search(r"(?i)(?:api_?key|token|_key$|^key)", line.name))


def key_field(provider: Provider) -> Field | None:
    """The field that a single key belongs to; None where one key alone is not enough to say."""
    secrets = [one for one in provider.credential_fields if one.secret]
    needed = [one for one in secrets if one.required] or secrets[:1]
    return needed[0] if len(needed) == 1 else None

"""TOML tables read key by key; errors name the file, the key and the allowed values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from core.i18n.localized import FALLBACK, localized
from providers.declaration.files import BadFile

LANGUAGES: Final = (FALLBACK, "zh-hans")
_PATH: Final = re.compile(r"(?:/[\w.-]+)+")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Table:
    """One table of a provider's file.

    Args:
        slug: The provider, which is also the file's name.
        name: The table's path in the file, such as "provider.api_key".
        values: The parsed table.
        allowed: The allowed keys; empty to allow any.

    Raises:
        BadFile: From the constructor and every method, for a missing, unknown or invalid value.
    """

    def __init__(self, slug: str, name: str, values: Any, allowed: Collection[str] = ()) -> None:
        self._slug, self._name = slug, name
        if not isinstance(values, dict):
            raise BadFile(slug, f"[{name}] must be a table.")
        self._values: dict[str, Any] = values
        for key in values:
            if allowed and key not in allowed:
                raise BadFile(slug, f"[{name}] has no key “{key}”; {_allowed(allowed)}")
            if not _NAME.fullmatch(key):
                self._fail(key, "is not a name of lower-case letters, digits, - and _")

    def _fail(self, key: str, problem: str) -> NoReturn:
        raise BadFile(self._slug, f"[{self._name}] {key} {problem}.")

    def _value(self, key: str, kind: type, description: str, default: Any) -> Any:
        value = self._values.get(key, default)
        if value is None:
            self._fail(key, "is missing")
        if type(value) is not kind:
            self._fail(key, f"must be {description}")
        return value

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        value: str = self._value(key, str, "a text in quotes", default)
        if not value.isprintable():
            self._fail(key, "must be one line")
        return value

    def number(self, key: str, default: int | None = None) -> int:
        return int(self._value(key, int, "a whole number", default))

    def flag(self, key: str) -> bool:
        """Return a Boolean; false if the key is missing."""
        return bool(self._value(key, bool, "true or false", False))

    def choice(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        return self._checked(key, self.text(key, default), allowed)

    def choices(self, key: str, allowed: Collection[str]) -> list[str]:
        """Return a list of allowed names; empty if the key is missing."""
        names = self.texts(key)
        return [self._checked(key, name, allowed) for name in names]

    def _checked(self, key: str, name: str, allowed: Collection[str]) -> str:
        if name not in allowed:
            self._fail(key, f"holds “{name}”; {_allowed(allowed)[:-1]}")
        return name

    def texts(self, key: str) -> list[str]:
        """Return a list of texts; empty if the key is missing."""
        names: list[Any] = self._value(key, list, "a list of texts", [])
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            self._fail(key, "must be a list of texts, each of them once")
        return names

    def path(self, key: str, default: str) -> str:
        """Return the start of a path, such as "/v1", or an empty text."""
        value = self.text(key, default)
        if value and not _PATH.fullmatch(value):
            self._fail(key, "must be a path such as “/v1”, or empty")
        return value

    def url(self, key: str, default: str | None = None) -> str:
        value = self.text(key, default)
        if value and not (value.startswith("https://") and urlsplit(value).hostname):
            self._fail(key, "must be an address that begins with https://")
        return value

    def name(self, key: str) -> Any:
        """Return a name: one for all languages, or one per language as `words` reads it."""
        return self.words(key) if isinstance(self._values.get(key), dict) else self.text(key)

    def words(self, key: str) -> Any:
        """Return a lazy text from a table with one text per language."""
        if not isinstance(self._values.get(key), dict):
            self._fail(key, f"must be a table with a text for each of {', '.join(LANGUAGES)}")
        texts = self.table(key, LANGUAGES)
        return localized({language: texts.text(language) for language in LANGUAGES})

    def table(self, key: str, allowed: Collection[str] = ()) -> Table:
        """Return a table inside this one; an empty one if the key is missing."""
        return Table(self._slug, f"{self._name}.{key}", self._values.get(key, {}), allowed)

    def tables(
        self, key: str, allowed: Collection[str], *, names: Collection[str] = ()
    ) -> Iterator[tuple[str, Table]]:
        """Yield the named tables inside a table.

        Args:
            names: Those allowed; empty to allow any.
        """
        inner = self.table(key, names)
        yield from ((name, inner.table(name, allowed)) for name in inner._values)


def _allowed(names: Iterable[str]) -> str:
    return f"allowed: {', '.join(names)}."

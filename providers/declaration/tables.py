"""Reading a TOML table key by key, so that every mistake is answered with file, key and what is
allowed.
"""

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
        slug: The provider, which is the file's name.
        name: The table's path in the file, such as "provider.api_key".
        values: What was parsed.
        allowed: The keys that may be there; empty where any name is.

    Raises:
        BadFile: From the constructor and every method, for what is missing, unknown or of another type.
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

    def _value(self, key: str, kind: type, words: str, default: Any) -> Any:
        value = self._values.get(key, default)
        if value is None:
            self._fail(key, "is missing")
        if type(value) is not kind:
            self._fail(key, f"must be {words}")
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
        """Return true or false; false where the key is missing."""
        return bool(self._value(key, bool, "true or false", False))

    def choice(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        return self._one_of(key, self.text(key, default), allowed)

    def choices(self, key: str, allowed: Collection[str]) -> list[str]:
        """Return a list of names of a closed list; empty where the key is missing."""
        names = self.texts(key)
        return [self._one_of(key, name, allowed) for name in names]

    def _one_of(self, key: str, name: str, allowed: Collection[str]) -> str:
        if name not in allowed:
            self._fail(key, f"holds “{name}”; {_allowed(allowed)[:-1]}")
        return name

    def texts(self, key: str) -> list[str]:
        """Return a list of texts; empty where the key is missing."""
        names: list[Any] = self._value(key, list, "a list of texts", [])
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            self._fail(key, "must be a list of texts, each of them once")
        return names

    def path(self, key: str, default: str) -> str:
        """Return the beginning of a path, such as "/v1", or an empty text."""
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
        """Return a name that is the same in all languages, or one as `words` reads it."""
        return self.words(key) if isinstance(self._values.get(key), dict) else self.text(key)

    def words(self, key: str) -> Any:
        """Return a text for people, from a table with one for each language, as a lazy text."""
        if not isinstance(self._values.get(key), dict):
            self._fail(key, f"must be a table with a text for each of {', '.join(LANGUAGES)}")
        texts = self.table(key, LANGUAGES)
        return localized({language: texts.text(language) for language in LANGUAGES})

    def table(self, key: str, allowed: Collection[str] = ()) -> Table:
        """Return a table inside this one; an empty one where the key is missing."""
        return Table(self._slug, f"{self._name}.{key}", self._values.get(key, {}), allowed)

    def tables(self, key: str, allowed: Collection[str]) -> Iterator[tuple[str, Table]]:
        """Yield the named tables inside a table."""
        inner = self.table(key)
        yield from ((name, inner.table(name, allowed)) for name in inner._values)


def _allowed(names: Iterable[str]) -> str:
    return f"allowed: {', '.join(names)}."

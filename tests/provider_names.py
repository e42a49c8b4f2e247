"""Names of providers, clients and their products, which are the same in every language: a Chinese
page may hold them.
"""

from __future__ import annotations

import re
from functools import cache

from django.utils import translation

from gateway.clients.table import groups
from providers.declaration import registry

WORD = re.compile(r"[A-Za-z]{2,}")
_CLIENTS = "|".join(re.escape(one.name) for group in groups() for one in group.clients)
CLIENT_NAMES = re.compile(rf"\b(?:{_CLIENTS})\b")


@cache
def provider_names() -> frozenset[str]:
    """Return the words in Latin letters that a provider's name or description has in both
    languages.
    """
    english, chinese = (_words(language) for language in ("en", "zh-hans"))
    return frozenset(english & chinese)


def _words(language: str) -> set[str]:
    with translation.override(language):
        texts = [
            f"{provider.label} {provider.description}" for provider in registry.all_providers()
        ]
    return {word for text in texts for word in WORD.findall(text)}

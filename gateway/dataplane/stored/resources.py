"""The paths of files and batches. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FILES: Final = "/v1/files"
BATCHES: Final = "/v1/batches"
MESSAGE_BATCHES: Final = "/v1/messages/batches"
_PATH: Final = re.compile(r"/v1/(files|batches|messages/batches)(?:/([^/]+))?(?:/([a-z]+))?")
# What each method does, by whether there is an id and what follows it.
METHODS: Final[Mapping[tuple[str, bool, str], Mapping[str, str]]] = {
    ("files", False, ""): {"GET": "list", "POST": "upload"},
    ("files", True, ""): {"GET": "show", "DELETE": "delete"},
    ("files", True, "content"): {"GET": "content"},
    ("batches", False, ""): {"GET": "list", "POST": "create"},
    ("batches", True, ""): {"GET": "show"},
    ("batches", True, "cancel"): {"POST": "cancel"},
    ("messages/batches", False, ""): {"GET": "list", "POST": "create"},
    ("messages/batches", True, ""): {"GET": "show", "DELETE": "delete"},
    ("messages/batches", True, "cancel"): {"POST": "cancel"},
    ("messages/batches", True, "results"): {"GET": "results"},
}


@dataclass(frozen=True, slots=True)
class Resource:
    """What a path names.

    Attributes:
        kind: files, batches or messages/batches.
        id: As the caller wrote it; empty for the list.
        methods: The names of the functions that answer, by HTTP method.
    """

    kind: str
    id: str
    methods: Mapping[str, str]


def resource_of(path: str) -> Resource | None:
    """Return what a path names; None for all paths but those of files and batches."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    kind, text, rest = match[1], match[2] or "", match[3] or ""
    methods = METHODS.get((kind, bool(text), rest))
    return None if methods is None else Resource(kind, text, methods)

"""Tools in namespaces, such as those of Codex's MCP servers, for models that know no namespaces.

A tool gets a name that is joined from both, and its calls are told apart again in the answer.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

_BETWEEN: Final = "__"
_LONGEST: Final = 64  # characters of a tool's name that every provider takes
_DIGITS: Final = 8  # of the hash that ends a name which had to be changed
_ODD: Final = re.compile(r"[^A-Za-z0-9_-]")


def joined(namespace: str, name: str) -> str:
    """Return a name that every provider takes; it depends on nothing but the two."""
    whole = f"{namespace.removesuffix(_BETWEEN)}{_BETWEEN}{name}"
    return _hashed(namespace, name) if _ODD.search(whole) or len(whole) > _LONGEST else whole


def _hashed(namespace: str, name: str) -> str:
    whole = _ODD.sub("_", f"{namespace.removesuffix(_BETWEEN)}{_BETWEEN}{name}")
    digest = hashlib.sha256(f"{namespace}\0{name}".encode()).hexdigest()[:_DIGITS]
    return f"{whole[: _LONGEST - _DIGITS - 1]}_{digest}"


def called_name(item: Mapping[str, Any]) -> Any:
    """Return the name under which a model has called the tool of an item."""
    namespace, name = item.get("namespace"), item.get("name")
    if isinstance(namespace, str) and namespace and isinstance(name, str):
        return joined(namespace, name)
    return name


class Names:
    """The names of one request's tools.

    Args:
        tools: As the request lists them.
    """

    __slots__ = ("_joined", "_parts")

    def __init__(self, tools: Iterable[Any]) -> None:
        pairs: dict[tuple[str, str], str] = {}
        taken: Counter[str] = Counter()
        for tool in tools:
            namespace = namespace_of(tool)
            for inner in [tool] if namespace is None else members_of(tool):
                name = inner.get("name") if isinstance(inner, dict) else None
                if not isinstance(name, str):
                    continue
                if namespace is not None:
                    pairs[namespace, name] = joined(namespace, name)
                else:
                    taken[name] += 1
        taken.update(pairs.values())
        self._joined = {
            pair: whole if taken[whole] == 1 else _hashed(*pair) for pair, whole in pairs.items()
        }
        self._parts = {whole: pair for pair, whole in self._joined.items()}

    def joined(self, namespace: str, name: str) -> str:
        return self._joined.get((namespace, name)) or joined(namespace, name)

    def parted(self, whole: str) -> dict[str, str]:
        """Return the fields of a call that name its tool."""
        if whole not in self._parts:
            return {"name": whole}
        namespace, name = self._parts[whole]
        return {"name": name, "namespace": namespace}


def namespace_of(tool: Any) -> str | None:
    """Return the name of a tool that is a namespace."""
    match tool:
        case {"type": "namespace", "name": str(name)}:
            return name
    return None


def members_of(tool: Mapping[str, Any]) -> list[Any]:
    """Return the tools in a namespace that may have a name."""
    tools = tool.get("tools")
    return [inner for inner in tools if isinstance(inner, dict)] if isinstance(tools, list) else []

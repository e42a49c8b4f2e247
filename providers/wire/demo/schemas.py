"""Make values up that fit a JSON schema: arguments of tools, and structured answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from providers.declaration.errors import CannotExpress

MOST_VALUES: Final = 2000
LONGEST_TEXT: Final = 10_000  # characters
# Below this depth, properties that may be left out are.
DEEPEST: Final = 8
_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "byte": "RGVtbw==",
    "binary": "RGVtbw==",
}


def instance_of(schema: Any, param: str, *, whole: bool = True) -> Any:
    """Make up a value.

    Patterns, conditions and references to other documents are not followed.

    Args:
        param: The request's field that holds the schema, for messages.
        whole: Also fill what may be left out or null.

    Raises:
        CannotExpress: The schema demands a value too large to make up.
    """
    return _Filler(schema, param, whole=whole).value_of(schema)


class _Filler:
    def __init__(self, root: Any, param: str, *, whole: bool) -> None:
        self._root = root
        self._param = param
        self._whole = whole
        self._left = MOST_VALUES

    def value_of(self, schema: Any, name: str = "text", depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0 or depth > 4 * DEEPEST:
            raise self._too_large()
        if depth and not self._whole and _may_be_null(schema):
            return None
        schema = self._resolved(schema, depth)
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("enum", "examples"):
            if isinstance(values := schema.get(key), list) and values:
                return values[0]
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer":
                return math.ceil(_number(schema, whole=True))
            case "number":
                return _number(schema, whole=False)
            case "boolean":
                return True
            case "null":
                return None
        return self._text(schema, name)

    def _resolved(self, schema: Any, depth: int) -> Mapping[str, Any]:
        """Follow references and choose among alternatives."""
        for _step in range(DEEPEST):
            if not isinstance(schema, dict):
                return {}
            if isinstance(reference := schema.get("$ref"), str):
                schema = {**self._target(reference), **_without(schema, "$ref")}
            elif parts := _schemas(schema.get("allOf")):
                schema = self._merged([_without(schema, "allOf"), *parts], depth)
            elif key := next((key for key in ("anyOf", "oneOf") if _schemas(schema.get(key))), ""):
                chosen = _simplest(schema[key]) if depth > DEEPEST else schema[key][0]
                schema = {**_without(schema, key), **chosen}
            else:
                return schema
        raise self._too_large()

    def _merged(self, parts: Sequence[Any], depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for part in parts:
            resolved = self._resolved(part, depth + 1) if "$ref" in part else part
            properties = {**_mapping(merged, "properties"), **_mapping(resolved, "properties")}
            required = [*_list(merged, "required"), *_list(resolved, "required")]
            merged = {**merged, **resolved}
            merged |= {"properties": properties, "required": required} if properties else {}
        return merged

    def _target(self, reference: str) -> Mapping[str, Any]:
        target = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            if key:
                target = target.get(key) if isinstance(target, dict) else None
        return target if isinstance(target, dict) else {}

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = _list(schema, "required")
        return {
            name: self.value_of(part, name, depth + 1)
            for name, part in _mapping(schema, "properties").items()
            if name in required or (self._whole and depth < DEEPEST)
        }

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        first = _list(schema, "prefixItems")
        least, most = _count(schema, "minItems", 0), _count(schema, "maxItems", MOST_VALUES)
        length = max(least, min(most, len(first) or (1 if depth < DEEPEST else 0)))
        if length > self._left:
            raise self._too_large()
        rest = schema.get("items", {"type": "string"})
        parts = [first[index] if index < len(first) else rest for index in range(length)]
        return [self.value_of(part, name, depth + 1) for part in parts]

    def _text(self, schema: Mapping[str, Any], name: str) -> str:
        if isinstance(kind := schema.get("format"), str) and kind in _FORMATS:
            return _FORMATS[kind]
        least, most = _count(schema, "minLength", 0), _count(schema, "maxLength", LONGEST_TEXT)
        if least > LONGEST_TEXT:
            raise self._too_large()
        return name[:most].ljust(least, "x")

    def _too_large(self) -> CannotExpress:
        return CannotExpress("The demo makes up no value for so large a schema.", param=self._param)


def _may_be_null(schema: Any) -> bool:
    """Tell whether null is allowed: strict tools require all arguments, and mean optional by it."""
    if not isinstance(schema, dict) or "enum" in schema or "const" in schema:
        return False
    options = [schema, *_list(schema, "anyOf"), *_list(schema, "oneOf")]
    kinds = [one.get("type") for one in options if isinstance(one, dict)]
    return any(kind == "null" or (isinstance(kind, list) and "null" in kind) for kind in kinds)


def _type_of(schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return kind


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    """Return a number within the bounds, or the lower one if there is none."""
    step = _numeric(schema, "multipleOf") or (1 if whole else 0.5)
    low, above = _numeric(schema, "minimum"), _numeric(schema, "exclusiveMinimum")
    high, below = _numeric(schema, "maximum"), _numeric(schema, "exclusiveMaximum")
    if above is not None:
        low = max(above + step, -math.inf if low is None else low)
    if below is not None:
        high = min(below - step, math.inf if high is None else high)
    if low is not None:
        return math.ceil(low / step) * step if math.isfinite(low / step) else low
    return step if high is None or high >= step else math.floor(high / step) * step


def _numeric(schema: Mapping[str, Any], key: str) -> float | None:
    value = schema.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 2**53 else None


def _count(schema: Mapping[str, Any], key: str, default: int) -> int:
    value = schema.get(key)
    return value if type(value) is int and value >= 0 else default


def _simplest(schemas: Sequence[Any]) -> dict[str, Any]:
    """Return the alternative that ends a recursion."""
    options = _schemas(schemas)
    return next((one for one in options if one.get("type") == "null"), options[-1])


def _schemas(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return items if all(isinstance(item, dict) for item in items) else []


def _mapping(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = schema.get(key)
    return value if isinstance(value, dict) else {}


def _list(schema: Mapping[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _without(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}

"""Columns of the tables of operations and model types, with checks for missing ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from enum import Enum
from typing import Any, ClassVar, Self, TypeVar

from providers.declaration.spec import ModelType, Operation, Upload
from providers.operations.request_checks import BodyCheck

K = TypeVar("K", bound=str)
V = TypeVar("V")


class IncompleteTable(RuntimeError):
    """A row or a column is missing. Raised on import, so the server does not start."""


class Row:
    """Base of rows without defaults; an error names the row and its missing columns."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # every row is a dataclass

    def __new__(cls, **columns: Any) -> Self:
        """Check the columns.

        Raises:
            IncompleteTable: A column is missing.
        """
        names = [column.name for column in fields(cls)]
        missing = [name for name in names if name not in columns]
        if missing:
            key = columns.get(names[0], "?")
            raise IncompleteTable(f"{cls.__name__} of {key}: no {', no '.join(missing)}")
        return object.__new__(cls)


def complete(table: str, keys: Iterable[K], rows: Mapping[K, V]) -> Mapping[K, V]:
    """Return the rows in the order of the keys.

    Args:
        table: The table's module and name, for the message.
        keys: All keys that need a row.
        rows: By key.

    Raises:
        IncompleteTable: A key has no row.
    """
    keys = list(keys)
    missing = [str(key) for key in keys if key not in rows]
    if missing:
        raise IncompleteTable(f"{table} has no row for {', '.join(missing)}")
    return {key: rows[key] for key in keys}


class Stream(Enum):
    """How a client asks for a stream, and how the stream ends."""

    NONE = "never streamed"
    CHUNKS = "stream: true; chunks, then [DONE]"
    EVENTS = "stream: true; the last event is marked as the last"
    SPEECH_EVENTS = "stream_format: sse; the last event is marked as the last"


class Unit(Enum):
    """The unit of a request's size."""

    TOKENS = "tokens"
    CHARACTERS = "characters"


@dataclass(frozen=True, slots=True)
class Size:
    """How usage is estimated if the provider reports none: from the texts in these fields."""

    unit: Unit
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileField:
    """The file of an operation that is called with a form.

    Args:
        name: The form field's name.
        most: How many files the field may have.
        others: Names of optional fields with one more file each.
        formats: File formats, for messages.
        accepts: Returns whether a file's first bytes have one of the formats.
        numbers: The form's numeric fields.
        smallest: Returns a file to check a model with.
        example: A file name.
        beside: The other fields of an example, with lazy texts.
        as_json: Returns the files as fields of a JSON body, which may be sent instead of a form;
            None if there is no such body.
    """

    name: str
    most: int
    others: tuple[str, ...]
    formats: str
    accepts: Callable[[bytes], bool]
    numbers: frozenset[str]
    smallest: Callable[[], Upload]
    example: str
    beside: Mapping[str, Any]
    as_json: Callable[[Mapping[str, Sequence[Upload]]], dict[str, Any]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec(Row):
    """An operation.

    Args:
        model_type: The type of its models.
        label: Lazy text for pages.
        doors: The formats it is offered in: modules of gateway/dataplane/doors/.
        stream: How it is streamed.
        file: The uploaded file; None for a JSON body.
        saved_as: File name of the answer; empty for JSON.
        check: Raises InvalidBody for a body that no provider could understand.
        size: None if usage cannot be estimated.
        only_feature: Models with this feature have no other operation; empty if there is none.
        probe: The smallest body that proves a model works.
        example: A body to show on pages, with lazy texts; None to show none.
    """

    operation: Operation
    model_type: ModelType
    label: Any
    doors: tuple[str, ...]
    stream: Stream
    file: FileField | None
    saved_as: str
    check: BodyCheck
    size: Size | None
    only_feature: str
    probe: Mapping[str, Any]
    example: Mapping[str, Any] | None

    @property
    def is_json(self) -> bool:
        """Whether the request and the answer are JSON."""
        return self.file is None and not self.saved_as


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTypeSpec(Row):
    """A type of models.

    Args:
        model_type: The type.
        label: Lazy text for pages.
        prices: The billed amounts, which are fields of models_catalog's Price.
        facts: The fields of a model's facts that only this type has.
        playground: URL name of the page that takes `?model=`; empty if there is none.
    """

    model_type: ModelType
    label: Any
    prices: tuple[str, ...]
    facts: frozenset[str]
    playground: str

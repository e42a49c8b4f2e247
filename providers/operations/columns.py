"""The columns of the tables of operations and model types, and the checks that none is empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, fields
from enum import Enum
from typing import Any, ClassVar, Self, TypeVar

from providers.declaration.spec import ModelType, Operation, Upload

K = TypeVar("K", bound=str)
V = TypeVar("V")


class IncompleteTable(RuntimeError):
    """A row or a column is missing. Raised on import, so the server does not start."""


class Row:
    """Base of rows without defaults: leaving a column out names the row and the column."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # each row is a dataclass

    def __new__(cls, **columns: Any) -> Self:
        """Raises IncompleteTable."""
        names = [column.name for column in fields(cls)]
        missing = [name for name in names if name not in columns]
        if missing:
            key = columns.get(names[0], "?")
            raise IncompleteTable(f"{cls.__name__} of {key}: no {', no '.join(missing)}")
        return object.__new__(cls)


def complete(table: str, keys: Iterable[K], rows: Mapping[K, V]) -> Mapping[K, V]:
    """Return the rows in the order of the keys.

    Args:
        table: the module that holds the table, for the message.

    Raises:
        IncompleteTable: if a key has no row.
    """
    keys = list(keys)
    missing = [str(key) for key in keys if key not in rows]
    if missing:
        raise IncompleteTable(f"{table} has no row for {', '.join(missing)}")
    return {key: rows[key] for key in keys}


class Stream(Enum):
    """How a client asks for a stream, and how the stream ends."""

    NONE = "always answered whole"
    CHUNKS = "stream: true; chunks, then [DONE]"
    EVENTS = "stream: true; the last event says that it is the last"
    SPEECH_EVENTS = "stream_format: sse; the last event says that it is the last"


class Unit(Enum):
    """What the size of a request is counted in."""

    TOKENS = "tokens"
    CHARACTERS = "characters"


@dataclass(frozen=True, slots=True)
class Size:
    """How usage is estimated where the provider reports none: by the texts in these fields."""

    unit: Unit
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileField:
    """The file of an operation that is called with a form.

    name: of the form's field. formats: for messages. accepts: whether a file begins as one of them.
    numbers: the form's other fields that are numbers. smallest: a file to check a model with.
    example: a file's name.
    """

    name: str
    formats: str
    accepts: Callable[[bytes], bool]
    numbers: frozenset[str]
    smallest: Callable[[], Upload]
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec(Row):
    """One operation.

    model_type: of the models that are asked. label: for people; lazy. stream: how it is streamed.
    file: the file that comes with it; None for a JSON body. saved_as: name for the file that the
    answer is; "" for JSON. check: raises InvalidBody for a body that no provider could understand.
    size: None if usage cannot be estimated. only_feature: a model with this feature has no other
    operation; "" if there is no such feature. probe: the smallest body that shows that a model
    works. example: a body to copy from a page, texts may be lazy; None if pages do not show it.
    """

    operation: Operation
    model_type: ModelType
    label: Any
    stream: Stream
    file: FileField | None
    saved_as: str
    check: Callable[[Mapping[str, Any]], None]
    size: Size | None
    only_feature: str
    probe: Mapping[str, Any]
    example: Mapping[str, Any] | None

    @property
    def is_json(self) -> bool:
        """Whether both request and answer are JSON."""
        return self.file is None and not self.saved_as


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTypeSpec(Row):
    """One type of models.

    label: for people; lazy. prices: the amounts that are billed, fields of models_catalog's Price.
    facts: fields of a model's facts that only this type has. playground: name of the URL of the
    page that takes `?model=`; "" if there is none.
    """

    model_type: ModelType
    label: Any
    prices: tuple[str, ...]
    facts: frozenset[str]
    playground: str

"""Declarations of the files and batches that providers keep. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from providers.declaration.spec import Access, Exchange, Provider


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A body that is read from its file while it is sent, so that it is never in memory.

    Args:
        size: Of the whole file, in bytes.
    """

    file: BinaryIO
    size: int


@dataclass(frozen=True, slots=True)
class StorageRequest:
    """A request about files or batches that a provider keeps, in its format.

    Args:
        path: Below the API's version, such as /files.
        form: A multipart body and its type.
        is_content: Whether the answer is a file's content.
        headers: Of the caller, for the provider.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    form: tuple[OpenFile, str] | None = None
    is_content: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


MakeStorageExchange = Callable[["Provider", StorageRequest, "Access"], "Exchange"]


@dataclass(frozen=True, slots=True)
class Storage:
    """A provider's files and batches, in OpenAI's format or in Anthropic's.

    In OpenAI's, responses that the provider stores are deleted in the same way.

    Args:
        exchange: Returns an answer without a body if the provider has nothing of this name.
        urls: The endpoints that batches may call: the path here, and as their lines name it there.
        price: The share of the list price that a batch costs; None if it is not known.
        has_metadata: Whether batches have `metadata` and are listed with it.
    """

    exchange: MakeStorageExchange
    urls: Mapping[str, str]
    price: Decimal | None = None
    has_metadata: bool = False

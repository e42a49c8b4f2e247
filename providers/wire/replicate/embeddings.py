"""Embeddings by Replicate's models: inputs of predictions, and vectors in their outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.failures.reasons import Reason
from providers.wire.openai.embeddings import batches
from providers.wire.replicate.schema import TEXT, TEXTS, Shape


def embedding_inputs(
    texts: list[str], shape: Shape, size: int | None
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield (texts, `input`) of each prediction, with as many texts as the model accepts at once.

    Raises:
        CannotExpress: if the model does not accept texts.
    """
    list_input, text_input = shape.first(TEXTS), shape.first(TEXT)
    if list_input is None and text_input is None:
        raise CannotExpress(
            "This model does not accept texts: it is not an embedding model.", param="model"
        )
    for batch in batches(texts, size if list_input else 1):
        if list_input is None:
            yield batch, {str(text_input): batch[0]}
        else:
            value = batch if shape.is_list(list_input) else orjson.dumps(batch).decode()
            yield batch, {list_input: value}


def vectors_of(output: Any) -> list[list[float]]:
    """Read the vectors of an output: lists of numbers, rows with an `embedding`, or either under a
    name.

    Raises:
        ProviderError: if the output contains no vectors.
    """
    if isinstance(output, dict):
        output = next(
            (output[name] for name in ("embeddings", "embedding", "vectors") if name in output),
            None,
        )
    rows = output if isinstance(output, list) and output else [None]
    if isinstance(rows[0], int | float):
        rows = [rows]
    vectors: list[Any] = [row.get("embedding") if isinstance(row, dict) else row for row in rows]
    if all(
        isinstance(vector, list)
        and vector
        and all(isinstance(number, int | float) for number in vector)
        for vector in vectors
    ):
        return vectors
    raise ProviderError(Failure.ERROR, Reason("output_no_embeddings"), status=200)

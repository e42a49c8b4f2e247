"""Embeddings, rerank and moderations: a list of inputs, and a result for each."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    BOOLEAN,
    COUNT,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    any_of,
    constant,
    list_of,
    map_to,
    nullable,
    object_of,
)
from gateway.openapi.formats.declaration import Format

EMBEDDINGS: Final = Format(
    name="EmbeddingList",
    description=_(
        "The format of OpenAI's embeddings. The list is as long as `input`, in the same order."
    ),
    fields={
        "dimensions": nullable(INTEGER),
        "encoding_format": nullable(TEXT),
        "user": TEXT,
    },
    answer=object_of(
        {
            "object": constant("list"),
            "data": list_of(
                object_of(
                    {
                        "object": constant("embedding"),
                        "index": INTEGER,
                        "embedding": {
                            **any_of(list_of(NUMBER), TEXT),
                            "description": _(
                                "Numbers, or their bytes (32-bit floats, little-endian) in "
                                "base64 if `encoding_format` is `base64`."
                            ),
                        },
                    }
                )
            ),
            "model": TEXT,
        },
        {"usage": nullable(object_of({"prompt_tokens": COUNT, "total_tokens": COUNT}))},
    ),
)
RERANK: Final = Format(
    name="Ranking",
    description=_(
        "Sorts documents by how well they answer a question, in the format of Cohere and Jina. "
        "`index` is a document's place in the request."
    ),
    answer=object_of(
        {
            "results": list_of(
                object_of(
                    {"index": INTEGER, "relevance_score": NUMBER},
                    {"document": nullable(any_of(TEXT, OBJECT))},
                )
            )
        },
        {"id": TEXT, "model": TEXT, "usage": nullable(OBJECT), "meta": nullable(OBJECT)},
    ),
)
MODERATION: Final = Format(
    name="Moderation",
    description=_("The format of OpenAI's moderations."),
    answer=object_of(
        {
            "id": TEXT,
            "model": TEXT,
            "results": list_of(
                object_of(
                    {
                        "flagged": BOOLEAN,
                        "categories": map_to(nullable(BOOLEAN)),
                        "category_scores": map_to(nullable(NUMBER)),
                    },
                    {"category_applied_input_types": map_to(nullable(list_of(TEXT)))},
                )
            ),
        }
    ),
)

"""Images in OpenAI's format."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    INTEGER,
    OBJECT,
    TEXT,
    list_of,
    nullable,
    object_of,
    reference,
)
from gateway.openapi.formats.declaration import Format

_IMAGE: Final = object_of(
    {},
    {"b64_json": nullable(TEXT), "url": nullable(TEXT), "revised_prompt": nullable(TEXT)},
)
_ANSWER: Final = object_of(
    {"created": INTEGER, "data": list_of(reference("Image"))},
    {
        "usage": nullable(OBJECT),
        "size": nullable(TEXT),
        "quality": nullable(TEXT),
        "background": nullable(TEXT),
        "output_format": nullable(TEXT),
    },
)
_EVENT: Final = object_of(
    {"type": TEXT},
    {
        "b64_json": TEXT,
        "partial_image_index": INTEGER,
        "created_at": INTEGER,
        "usage": nullable(OBJECT),
    },
)

GENERATION: Final = Format(
    name="ImageGeneration",
    description=_("The format of OpenAI's image generation."),
    answer=_ANSWER,
    parts={"Image": _IMAGE},
    event=_EVENT,
)
EDIT: Final = Format(
    name="ImageEdit",
    description=_("The format of OpenAI's image edits: images as files of a form, or as URLs."),
    answer=_ANSWER,
    parts={"Image": _IMAGE},
    event=_EVENT,
)

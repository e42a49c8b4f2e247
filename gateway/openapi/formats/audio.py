"""Speech to text and text to speech in OpenAI's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    FILE,
    NUMBER,
    OBJECT,
    TEXT,
    Schema,
    list_of,
    nullable,
    object_of,
)
from gateway.openapi.formats.declaration import Format

_TRANSCRIPT: Final = object_of(
    {"text": TEXT},
    {
        "task": TEXT,
        "language": nullable(TEXT),
        "duration": nullable(NUMBER),
        "segments": nullable(list_of(OBJECT)),
        "words": nullable(list_of(OBJECT)),
        "logprobs": nullable(list_of(OBJECT)),
        "usage": nullable(OBJECT),
    },
)
_EVENT: Final = object_of(
    {"type": TEXT}, {"delta": TEXT, "text": TEXT, "audio": TEXT, "usage": nullable(OBJECT)}
)
_FIELDS: Final[Mapping[str, Schema]] = {
    "prompt": TEXT,
    "response_format": {
        **TEXT,
        "description": _("json, text, srt, verbose_json, vtt or diarized_json."),
    },
}
_TEXTS: Final[Mapping[str, Schema]] = {"text/plain": TEXT}

TRANSCRIPTION: Final = Format(
    name="Transcription",
    description=_("The format of OpenAI's transcriptions: the text in the recording's language."),
    fields={
        **_FIELDS,
        "language": TEXT,
        "timestamp_granularities[]": list_of(TEXT),
        "include[]": list_of(TEXT),
    },
    answer=_TRANSCRIPT,
    other_answers=_TEXTS,
    event=_EVENT,
)
TRANSLATION: Final = Format(
    name="Translation",
    description=_("The format of OpenAI's translations: the text in English."),
    fields=_FIELDS,
    answer=_TRANSCRIPT,
    other_answers=_TEXTS,
    event=_EVENT,
)
SPEECH: Final = Format(
    name="Speech",
    description=_(
        "The format of OpenAI's speech. The answer is a file in the format that "
        "`response_format` names."
    ),
    fields={"instructions": nullable(TEXT)},
    answer=None,
    other_answers={"audio/*": FILE, "application/octet-stream": FILE},
    event=_EVENT,
)

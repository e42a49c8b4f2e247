"""The tables of operations and model types. Each /v1 endpoint has a row here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from providers.declaration.spec import ModelType, Operation
from providers.operations import image_checks, request_checks
from providers.operations.audio import is_audio, silence
from providers.operations.columns import (
    FileField,
    ModelTypeSpec,
    OperationSpec,
    Size,
    Stream,
    Unit,
    complete,
)
from providers.operations.images import MOST_IMAGES, edit_fields, is_image, white_square

_RECORDING: Final = FileField(
    name="file",
    most=1,
    others=(),
    formats="flac, mp3, mp4, m4a, ogg, wav, webm",
    accepts=is_audio,
    numbers=frozenset({"temperature"}),
    smallest=silence,
    example="recording.wav",
    beside={},
    as_json=None,
)
_IMAGE: Final = FileField(
    name="image",
    most=MOST_IMAGES,
    others=("mask",),
    formats="png, jpeg, webp, gif",
    accepts=is_image,
    numbers=frozenset({"n", "partial_images", "output_compression"}),
    smallest=white_square,
    example="picture.png",
    beside={"prompt": _("Make it night")},
    as_json=edit_fields,
)


def _by_operation(*rows: OperationSpec) -> Mapping[Operation, OperationSpec]:
    return complete(f"{__name__}.OPERATIONS", Operation, {row.operation: row for row in rows})


def _by_model_type(*rows: ModelTypeSpec) -> Mapping[ModelType, ModelTypeSpec]:
    operations = {row.model_type: row for row in OPERATIONS.values()}
    complete(f"{__name__}.OPERATIONS", ModelType, operations)
    return complete(f"{__name__}.MODEL_TYPES", ModelType, {row.model_type: row for row in rows})


# All models of a type have the first of its operations, which is also used for checks.
OPERATIONS: Final[Mapping[Operation, OperationSpec]] = _by_operation(
    OperationSpec(
        operation=Operation.CHAT,
        model_type=ModelType.REASONING,
        label=_("Chat"),
        doors=("openai", "responses", "messages"),
        stream=Stream.CHUNKS,
        file=None,
        saved_as="",
        check=request_checks.check_chat,
        size=Size(Unit.TOKENS, ("messages", "tools")),
        only_feature="",
        probe={"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1},
        example={"messages": [{"role": "user", "content": _("Hello")}]},
    ),
    OperationSpec(
        operation=Operation.COMPLETION,
        model_type=ModelType.REASONING,
        label=_("Text completion"),
        doors=("openai",),
        stream=Stream.CHUNKS,
        file=None,
        saved_as="",
        check=request_checks.check_completion,
        size=Size(Unit.TOKENS, ("prompt",)),
        only_feature="completion_only",
        probe={"prompt": "ping", "max_tokens": 1},
        example=None,
    ),
    OperationSpec(
        operation=Operation.EMBEDDINGS,
        model_type=ModelType.EMBEDDING,
        label=_("Embeddings"),
        doors=("openai",),
        stream=Stream.NONE,
        file=None,
        saved_as="",
        check=request_checks.check_embeddings,
        size=Size(Unit.TOKENS, ("input",)),
        only_feature="",
        probe={"input": "ping"},
        example={"input": _("Hello")},
    ),
    OperationSpec(
        operation=Operation.TRANSCRIPTION,
        model_type=ModelType.SPEECH_TO_TEXT,
        label=_("Speech to text"),
        doors=("openai",),
        stream=Stream.EVENTS,
        file=_RECORDING,
        saved_as="",
        check=request_checks.check_upload,
        size=None,
        only_feature="",
        probe={},
        example={},
    ),
    OperationSpec(
        operation=Operation.TRANSLATION,
        model_type=ModelType.SPEECH_TO_TEXT,
        label=_("Speech translation"),
        doors=("openai",),
        stream=Stream.EVENTS,
        file=_RECORDING,
        saved_as="",
        check=request_checks.check_upload,
        size=None,
        only_feature="",
        probe={},
        example=None,
    ),
    OperationSpec(
        operation=Operation.SPEECH,
        model_type=ModelType.TEXT_TO_SPEECH,
        label=_("Text to speech"),
        doors=("openai",),
        stream=Stream.SPEECH_EVENTS,
        file=None,
        saved_as="speech.audio",
        check=request_checks.check_speech,
        size=Size(Unit.CHARACTERS, ("input",)),
        only_feature="",
        probe={"input": "ping"},
        example={"input": _("Hello")},
    ),
    OperationSpec(
        operation=Operation.RERANK,
        model_type=ModelType.RERANK,
        label=_("Rerank"),
        doors=("openai",),
        stream=Stream.NONE,
        file=None,
        saved_as="",
        check=request_checks.check_rerank,
        size=Size(Unit.TOKENS, ("query", "documents")),
        only_feature="",
        probe={"query": "ping", "documents": ["ping", "pong"]},
        example={"query": "a drink", "documents": ["coffee", "a chair"]},
    ),
    OperationSpec(
        operation=Operation.MODERATION,
        model_type=ModelType.MODERATION,
        label=_("Moderation"),
        doors=("openai",),
        stream=Stream.NONE,
        file=None,
        saved_as="",
        check=request_checks.check_moderation,
        size=Size(Unit.TOKENS, ("input",)),
        only_feature="",
        probe={"input": "ping"},
        example={"input": _("Hello")},
    ),
    OperationSpec(
        operation=Operation.IMAGES,
        model_type=ModelType.IMAGE,
        label=_("Image generation"),
        doors=("openai",),
        stream=Stream.EVENTS,
        file=None,
        saved_as="",
        check=image_checks.check_images,
        size=None,
        only_feature="",
        probe={"prompt": "a red dot"},
        example={"prompt": _("A lighthouse at dusk"), "size": "1024x1024"},
    ),
    OperationSpec(
        operation=Operation.IMAGE_EDITS,
        model_type=ModelType.IMAGE,
        label=_("Image editing"),
        doors=("openai",),
        stream=Stream.EVENTS,
        file=_IMAGE,
        saved_as="",
        check=image_checks.check_image_edits,
        size=None,
        only_feature="edit_only",
        probe={"prompt": "a red dot", **edit_fields({"image": [white_square()]})},
        example=None,
    ),
)
MODEL_TYPES: Final[Mapping[ModelType, ModelTypeSpec]] = _by_model_type(
    ModelTypeSpec(
        model_type=ModelType.REASONING,
        label=pgettext_lazy("model type", "Reasoning"),
        prices=(
            *("input", "output", "cached_input", "cache_write", "cache_write_1h"),
            *("thinking_output", "audio_input", "audio_output"),
        ),
        facts=frozenset({"max_output"}),
        playground="playground",
    ),
    ModelTypeSpec(
        model_type=ModelType.EMBEDDING,
        label=pgettext_lazy("model type", "Embedding"),
        prices=("input",),
        facts=frozenset({"max_inputs"}),
        playground="playground-embeddings",
    ),
    ModelTypeSpec(
        model_type=ModelType.SPEECH_TO_TEXT,
        label=pgettext_lazy("model type", "Speech to text"),
        prices=("per_minute", "input", "output", "audio_input"),
        facts=frozenset(),
        playground="playground-speech",
    ),
    ModelTypeSpec(
        model_type=ModelType.RERANK,
        label=pgettext_lazy("model type", "Rerank"),
        prices=("input",),
        facts=frozenset(),
        playground="playground-rerank",
    ),
    ModelTypeSpec(
        model_type=ModelType.TEXT_TO_SPEECH,
        label=pgettext_lazy("model type", "Text to speech"),
        prices=("per_million_characters", "input", "output", "audio_output"),
        facts=frozenset(),
        playground="",  # the speech page's ?model= selects the speech-to-text model
    ),
    ModelTypeSpec(
        model_type=ModelType.MODERATION,
        label=pgettext_lazy("model type", "Moderation"),
        prices=("input",),
        facts=frozenset(),
        playground="",
    ),
    ModelTypeSpec(
        model_type=ModelType.IMAGE,
        label=pgettext_lazy("model type", "Image"),
        prices=("per_image", "input", "output", "cached_input", "image_input", "image_output"),
        facts=frozenset(),
        playground="playground-images",
    ),
)
# Models with one of these features have only that operation, which pages do not show.
ONLY_FEATURES: Final = frozenset(row.only_feature for row in OPERATIONS.values()) - {""}


def operation_of(model_type: ModelType, features: Collection[str] = ()) -> OperationSpec:
    """Return an operation that every model with this type and these features has."""
    rows = [row for row in OPERATIONS.values() if row.model_type is model_type]
    return next((row for row in rows if row.only_feature in features), rows[0])


def facts_of_other_types(model_type: ModelType | None) -> frozenset[str]:
    """Return the names of facts that only other model types have."""
    others = [row for row in MODEL_TYPES.values() if row.model_type is not model_type]
    return frozenset(name for row in others for name in row.facts)

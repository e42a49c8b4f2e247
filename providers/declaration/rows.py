"""Providers declared by the `[provider]` table of their file: a row instead of an adapter.

A row is for a provider with OpenAI's format. Deviations are named as quirks, or added by a small
adapter that passes functions of its own to `provider_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from providers.declaration import files
from providers.declaration.fields import base_url_field
from providers.declaration.quirks import QUIRKS, Quirk
from providers.declaration.spec import (
    ORDER,
    Access,
    Field,
    Kind,
    MakeExchange,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
)
from providers.declaration.storage import Storage
from providers.declaration.tables import Table
from providers.operations.columns import complete
from providers.operations.table import OPERATIONS
from providers.wire.anthropic.native import anthropic_native
from providers.wire.audio.speech import openai_speech
from providers.wire.audio.transcriptions import openai_audio
from providers.wire.chat_answers import Tidy
from providers.wire.http import bearer, key_in
from providers.wire.images.openai import openai_image_edits, openai_images
from providers.wire.model_names import guess_by_name
from providers.wire.native.in_part import CHAT_ONLY, FORMATS, beside, in_part
from providers.wire.openai.chat import Adjust, openai_chat
from providers.wire.openai.completions import openai_completions
from providers.wire.openai.embeddings import openai_embeddings
from providers.wire.openai.errors import openai_errors
from providers.wire.openai.model_list import check_by_list, list_models
from providers.wire.openai.moderation import openai_moderations
from providers.wire.openai.responses.native import native_responses
from providers.wire.openai.storage import openai_storage
from providers.wire.rerank import rerank

KEYS: Final = (
    *("label", "description", "kind", "order", "key_url", "docs_url"),
    *("base_url", "regions", "self_hosted", "version"),
    *("operations", "dialects", "batches", "quirks", "api_key", "model_fields"),
)
# A provider has one address or regional ones, or is the workspace's own server. The keys of such a
# server have no known prefix.
EXCLUDED: Final[Mapping[str, Sequence[str]]] = {
    "self_hosted": ("base_url", "regions", "api_key"),
    "regions": ("base_url",),
}
REGION_KEYS: Final = ("label", "base_url")
KEY_KEYS: Final = ("prefix", "placeholder", "env")
DIALECT_KEYS: Final = ("path", "key_header")
# Fields that a row may declare for each model besides name and type.
MODEL_FIELDS: Final[Mapping[str, Field]] = {
    "api_key": Field(
        "api_key",
        _("API key of this model"),
        secret=True,
        required=False,
        advanced=True,
        help_text=_("Only if it differs from the server's key."),
    ),
    "voice": Field(
        "voice",
        _("Voice"),
        required=False,
        advanced=True,
        placeholder="alloy",
        help_text=_("For text to speech: the voice for checks and for calls without one."),
    ),
}
Region = tuple[str, Any, str]  # name, label, base URL
auth = bearer("api_key")


def provider_of(slug: str, *, adjust: Adjust | None = None, tidy: Tidy | None = None) -> Provider:
    """Return the provider declared by a file's `[provider]` table.

    Args:
        slug: The file's name.
        adjust: Changes chat requests after the quirks.
        tidy: Changes chat answers after the quirks.

    Raises:
        BadFile: The table is missing or invalid.
    """
    document = files.read(slug)
    if "provider" not in document:
        raise files.BadFile(
            slug, f"There is neither a [provider] table nor providers/adapters/{slug}.py."
        )
    row = Table(slug, "provider", document["provider"], _keys_of(document["provider"]))
    quirks = [QUIRKS[name] for name in row.choices("quirks", QUIRKS)]
    provider = _provider(slug, row, _chat_options(quirks, adjust, tidy))
    return replace(provider, unlimited=any(quirk.unlimited for quirk in quirks))


def _keys_of(table: Any) -> Sequence[str]:
    """Return the keys that are allowed together with those in the table."""
    keys = table if isinstance(table, dict) else {}
    excluded = next((others for key, others in EXCLUDED.items() if key in keys), ())
    return [key for key in KEYS if key not in excluded]


def _provider(slug: str, row: Table, chat: Mapping[str, Any]) -> Provider:
    version, regions = row.path("version", "/v1"), _regions(row)
    self_hosted = row.flag("self_hosted")
    operations = [Operation(name) for name in row.choices("operations", _MAKERS)]
    types = {OPERATIONS[operation].model_type for operation in operations}
    guess = guess_by_name(types)
    dialects = _dialects(row, version)
    return Provider(
        slug=slug,
        label=row.name("label"),
        kind=Kind(row.choice("kind", list(Kind))),
        order=row.number("order", ORDER),
        model_types=tuple(kind for kind in ModelType if kind in types),
        description=row.words("description"),
        key_url=row.url("key_url", ""),
        docs_url=row.url("docs_url", ""),
        credential_fields=_own_server(formats=bool(dialects))
        if self_hosted
        else _credential_fields(row, regions),
        model_fields=tuple(
            MODEL_FIELDS[name] for name in row.choices("model_fields", MODEL_FIELDS)
        ),
        default_base_url=regions[0][2]
        if regions
        else row.url("base_url", "" if self_hosted else None),
        base_url_of=_address_by_region(regions) if regions else None,
        operations={name: _exchange(name, version, chat) for name in operations},
        dialects=dialects,
        storage=_storage(row, version),
        errors=openai_errors(),
        check=check_by_list(
            auth=auth, version=version, chats=self_hosted and Operation.CHAT in operations
        ),
        list_models=list_models(auth=auth, guess=guess, version=version),
        guess_type=guess,
        allow_unchecked=self_hosted,
        may_lack_version=self_hosted,
        # The templates of open models show it to them.
        replays_thoughts=self_hosted,
    )


# Credentials


def _regions(row: Table) -> Sequence[Region]:
    tables = row.tables("regions", REGION_KEYS)
    return [(name, region.words("label"), region.url("base_url")) for name, region in tables]


def _address_by_region(regions: Sequence[Region]) -> Callable[[Mapping[str, str]], str]:
    addresses = {name: url for name, _label, url in regions[1:]}
    return lambda values: addresses.get(values.get("region", ""), "")


def _credential_fields(row: Table, regions: Sequence[Region]) -> tuple[Field, ...]:
    key = row.table("api_key", KEY_KEYS)
    api_key = Field(
        "api_key",
        _("API key"),
        secret=True,
        help_url=row.url("key_url", ""),
        placeholder=key.text("placeholder", ""),
        prefix=key.text("prefix", ""),
        env=tuple(key.texts("env")),
    )
    return (api_key, *_region_field(regions), base_url_field())


def _region_field(regions: Sequence[Region]) -> Sequence[Field]:
    choices = tuple((name, label) for name, label, _url in regions)
    help_text = _(
        "A key only works in the region where it was created. By default, the first region is used."
    )
    return (
        [Field("region", _("Region"), required=False, choices=choices, help_text=help_text)]
        if regions
        else []
    )


def _own_server(*, formats: bool) -> tuple[Field, ...]:
    address = _(
        "The address of the server's API, with or without /v1. Modelkeep calls the paths below it, "
        "such as /v1/chat/completions."
    )
    no_key = _("Leave empty if the server does not need one.")
    return (
        base_url_field(
            required=True, placeholder="https://models.example.com/v1", help_text=address
        ),
        Field("api_key", _("API key"), secret=True, required=False, help_text=no_key),
        *((_FORMATS,) if formats else ()),
    )


_FORMATS: Final = Field(
    FORMATS,
    _("Messages and Responses"),
    required=False,
    advanced=True,
    choices=((CHAT_ONLY, _("Always convert to chat completions")),),
    help_text=_(
        "By default, calls in these formats are passed on unchanged if the server takes them, and "
        "converted if it does not."
    ),
)


# Operations


def _chat_options(
    quirks: Sequence[Quirk], adjust: Adjust | None, tidy: Tidy | None
) -> Mapping[str, Any]:
    """Combine quirks and the provider's own functions into arguments of openai_chat."""
    fits = [quirk.fit for quirk in quirks if quirk.fit is not None]
    all_tidies = (*(quirk.tidy for quirk in quirks), tidy)
    tidies = [function for function in all_tidies if function is not None]

    def fit(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
        for change in fits:
            change(body)
        if adjust is not None:
            adjust(body, provider, access, facts)

    return {
        "adjust": fit if fits or adjust is not None else None,
        "tidy": _combined(tidies) if tidies else None,
        "think_tags": any(quirk.think_tags for quirk in quirks),
    }


def _combined(tidies: Sequence[Tidy]) -> Tidy:
    def tidy_all(body: dict[str, Any]) -> bool:
        changes = [tidy(body) for tidy in tidies]
        return any(changes)

    return tidies[0] if len(tidies) == 1 else tidy_all


def _dialects(row: Table, version: str) -> Mapping[str, MakeExchange]:
    """Return the exchanges of formats besides chat that the row names.

    Their `path` begins beside that of the base URL; without one, they are below the base URL.
    """
    exchanges = {}
    for name, dialect in row.tables("dialects", DIALECT_KEYS, names=_DIALECTS):
        header, path = dialect.text("key_header", ""), dialect.path("path", "")
        native = _DIALECTS[name](auth=key_in(header) if header else auth, version=version)
        exchanges[name] = in_part(beside(native, path) if path else native)
    return exchanges


_DIALECTS: Final[Mapping[str, Callable[..., MakeExchange]]] = {
    "messages": anthropic_native,
    "responses": native_responses,
}


def _choose_voice(
    body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts
) -> None:
    """Use the model's configured voice, because voice names differ between servers."""
    if not body.get("voice") and (voice := access.model_values.get("voice")):
        body["voice"] = voice


_MAKERS: Final[Mapping[Operation, Callable[..., MakeExchange]]] = complete(
    __name__,
    Operation,
    {
        Operation.CHAT: openai_chat,
        Operation.COMPLETION: openai_completions,
        Operation.EMBEDDINGS: openai_embeddings,
        Operation.TRANSCRIPTION: partial(openai_audio, path="/audio/transcriptions"),
        Operation.TRANSLATION: partial(openai_audio, path="/audio/translations"),
        Operation.SPEECH: partial(openai_speech, adjust=_choose_voice),
        Operation.RERANK: rerank,
        Operation.MODERATION: openai_moderations,
        Operation.IMAGES: openai_images,
        Operation.IMAGE_EDITS: openai_image_edits,
    },
)


def _storage(row: Table, version: str) -> Storage | None:
    names = row.choices("batches", row.texts("operations"))
    paths = [f"/v1/{Operation(name).path}" for name in names]
    return openai_storage(auth=auth, version=version, paths=paths) if paths else None


def _exchange(operation: Operation, version: str, chat: Mapping[str, Any]) -> MakeExchange:
    options = chat if operation is Operation.CHAT else {}
    return _MAKERS[operation](auth=auth, version=version, **options)

"""What an adapter declares, and the neutral forms that wires, transports and the gateway exchange.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from providers.declaration.errors import ProviderError


class Kind(StrEnum):
    OWN = "own"  # the provider's own models, imported all at once
    HOSTING = "hosting"  # models are added one by one


class ModelType(StrEnum):
    """What a model does; a row in providers/operations/table.py says the rest."""

    REASONING = "reasoning"
    EMBEDDING = "embedding"
    SPEECH_TO_TEXT = "speech-to-text"
    RERANK = "rerank"
    TEXT_TO_SPEECH = "text-to-speech"
    MODERATION = "moderation"


class Operation(StrEnum):
    """What is asked of a model; a row in providers/operations/table.py says the rest."""

    CHAT = "chat.completions"
    COMPLETION = "completions"
    EMBEDDINGS = "embeddings"
    TRANSCRIPTION = "audio.transcriptions"
    TRANSLATION = "audio.translations"
    SPEECH = "audio.speech"
    RERANK = "rerank"
    MODERATION = "moderations"

    @property
    def path(self) -> str:
        """The path of its endpoint, below /v1/."""
        return self.value.replace(".", "/")


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a credential or of a hosted model.

    name: key in `values`. label, help_text: lazy strings. prefix: how such a key usually starts,
    for the hint only. group: heading of an alternative; of the groups of a form one is filled in,
    such as a key or a sign-in. env: names of environment variables that usually hold the value, for
    the import of pasted lines.
    """

    name: str
    label: Any
    secret: bool = False
    required: bool = True
    help_text: Any = ""
    help_url: str = ""
    placeholder: str = ""
    prefix: str = ""
    advanced: bool = False
    choices: tuple[tuple[str, Any], ...] = ()
    group: Any = ""
    env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Upload:
    """A file a client sent: name with extension, media type, content."""

    filename: str
    content_type: str
    data: bytes


@dataclass(slots=True)
class Request:
    """A call in the neutral form: OpenAI's JSON body, `model` being the provider's own model name."""

    operation: Operation
    model: str
    body: dict[str, Any]
    stream: bool = False
    upload: Upload | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """The account a call is made with. `values` holds opened secrets; the repr never shows them."""

    values: Mapping[str, str] = field(repr=False)
    base_url: str = ""  # normalised origin with optional path prefix; "" is the provider's own
    model_values: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # fields of a hosted model


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a wire may need to know of a model; unknown is None or absent, never 0."""

    name: str = ""
    type: ModelType = ModelType.REASONING
    context_window: int | None = None
    max_output: int | None = None
    features: frozenset[str] = (
        frozenset()
    )  # vision, tools, json_schema, reasoning, audio, tools_responses_only, ...
    max_inputs: int | None = None  # texts in one embedding request
    # name -> {"min", "max", "default", "supported": bool, "with_effort_none": bool}: a parameter
    # that is not supported is left out, unless it is allowed while reasoning is off
    # (reasoning_effort "none").
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # Texts that only the provider's own wire reads, such as a path that differs from model to model
    # (models_catalog.facts.schema.VALUES).
    values: Mapping[str, str] = field(default_factory=dict)


ORDER = 100  # of a provider that does not ask for another place
MAX_WHOLE = 16 * 1024 * 1024  # bytes of an answer that is read whole


@dataclass(slots=True)
class Call:
    """One HTTP request to be made by a transport. `stream` asks to leave the body of a 2xx answer
    open.

    accept: statuses that are an answer to the wire although they are 400 or above; all others end
    the exchange. delay: seconds to wait before it is made; a polling wire does not wait by itself.
    undo: what ends the work at the provider; made beside if the exchange is given up while this
    call is the last one. secrets: texts that this call brought along, such as a fetched token; no
    error shows them. limit: bytes of the answer where it is read whole.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    stream: bool = False
    accept: frozenset[int] = frozenset()
    delay: float = 0.0
    undo: Call | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    limit: int = MAX_WHOLE


@dataclass(slots=True)
class Reply:
    """The answer to a Call: header names in lower case; body empty where the stream was left open
    (status 2xx).
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    open: bool = False  # True: a Decoder will be fed the body


@dataclass(slots=True)
class Usage:
    """What the provider reported, in tokens (or seconds of audio, or characters of text to speak);
    None where it said nothing.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_seconds: float | None = None
    characters: int | None = None
    cache_write_tokens: int | None = None  # part of prompt_tokens, as cached_tokens are


@dataclass(slots=True)
class Answer:
    """A whole answer in the neutral form: `body` is OpenAI's JSON, or raw `content` for audio and
    plain text.
    """

    body: dict[str, Any] | None
    usage: Usage | None = None
    content: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    finish_reason: str | None = None


@dataclass(slots=True)
class Frame:
    """One `data:` payload for the client's event stream: JSON of an OpenAI chunk, without `data: `
    and line ends.

    usage_only: the frame carries usage and no choices; shown to clients that asked for it only.
    """

    data: bytes
    content: bool = (
        False  # holds the first or a further piece of the answer (text, reasoning, tool call)
    )
    usage_only: bool = False


class Decoder(Protocol):
    """Turns a provider's stream into frames. Keeps usage, finish_reason and output size for the
    ledger.

    feed and finish raise ProviderError when the provider reports an error inside the stream or
    breaks its format.
    """

    @property
    def usage(self) -> Usage | None: ...

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def output_characters(self) -> int:
        """Characters of text seen so far, to estimate tokens where usage never comes."""

    @property
    def done(self) -> bool:
        """The provider said that the stream is complete."""

    def feed(self, data: bytes) -> Sequence[Frame]: ...

    def finish(self) -> Sequence[Frame]: ...


class Continued(Decoder, Protocol):
    """A Decoder that needs more requests: to poll for further pieces, or to fetch what its stream
    did not say, such as usage.

    next_call: made once the open body (if any) has ended and finish() was asked, or as soon as
    `done` is set; its whole reply goes to `answered`, which sets the next one or None. An error in
    the reply ends the stream.
    """

    @property
    def next_call(self) -> Call | None: ...

    def answered(self, reply: Reply) -> Sequence[Frame]: ...


# A wire that needs several requests yields one Call after the other and is sent each Reply. It
# returns an Answer, or, for a streamed request, the Decoder of the body that the last Call left
# open (a wire without a network returns a Decoder whose finish() yields everything).
Exchange = Generator[Call, Reply, "Answer | Decoder"]
MakeExchange = Callable[["Provider", Request, Access, ModelFacts], Exchange]
# For checks and imports.
CheckExchange = Generator[Call, Reply, None]
ListExchange = Generator[Call, Reply, "list[ListedModel]"]
# Reply (status >= 400, or 2xx holding an error) -> the error, or None where it is none the adapter
# knows.
ErrorMap = Callable[[Reply], ProviderError | None]


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One row of a provider's own list of models; None and empty where the list does not say."""

    name: str
    type: ModelType | None = None
    label: str = ""
    context_window: int | None = None
    max_output: int | None = None
    features: frozenset[str] | None = None
    retires: str = ""  # ISO date


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, as data. Adapters end in `PROVIDER = Provider(...)`."""

    slug: str
    label: Any
    kind: Kind
    model_types: tuple[ModelType, ...]
    credential_fields: tuple[Field, ...]
    # One function per operation; an operation that is absent is not offered.
    operations: Mapping[Operation, MakeExchange]
    errors: ErrorMap
    # Default origin with path prefix; "" where the tenant must type a base URL.
    default_base_url: str = ""
    # The address that follows from the credential's other values (a region, a workspace), where the
    # tenant typed none; "" for the default. Raises ValueError, with a message for the form, for
    # values that make no address.
    base_url_of: Callable[[Mapping[str, str]], str] | None = None
    # A pasted address -> the base URL in it, and values of other fields that it tells (an API
    # version); typed values win.
    read_base_url: Callable[[str], tuple[str, Mapping[str, str]]] | None = None
    # What is missing among a credential's values, secret ones included, in words for the form ("one
    # of these two"); "" for nothing.
    complete: Callable[[Mapping[str, str]], str] | None = None
    model_fields: tuple[Field, ...] = ()  # of one hosted model, besides name and type
    model_label: Any = ""  # what a model's name is called there, where it is not simply that
    # None: there is nothing to check without a model (hosting); the model's own check is made when
    # it is added.
    check: Callable[[Provider, Access], CheckExchange] | None = None
    # A free check of one hosted model (by its name, for this type), where the provider has one;
    # else its smallest request is made.
    check_model: Callable[[Provider, Access, str, ModelType], CheckExchange] | None = None
    # True where the check costs money (a call of one token); the page says so first.
    check_is_billed: bool = False
    list_models: Callable[[Provider, Access], ListExchange] | None = None
    guess_type: Callable[[str], ModelType | None] | None = (
        None  # for models that no shipped fact knows
    )
    description: Any = ""
    key_url: str = ""
    docs_url: str = ""
    order: int = ORDER  # place in lists; those of the same order follow by slug
    local: bool = False  # answers without a network (Demo)
    allow_unchecked: bool = False  # "save without checking" for self-hosted servers that are down

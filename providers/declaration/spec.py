"""Declarations of providers, and the neutral types of wires, transports and the gateway. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from providers.declaration.error_bodies import bounded
from providers.declaration.errors import ProviderError
from providers.declaration.storage import OpenFile, Storage


class Kind(StrEnum):
    OWN = "own"  # the provider's own models, all imported at once
    HOSTING = "hosting"  # models are added one by one


class ModelType(StrEnum):
    """What a model does; providers/operations/table.py has a row for each type."""

    REASONING = "reasoning"
    EMBEDDING = "embedding"
    SPEECH_TO_TEXT = "speech-to-text"
    RERANK = "rerank"
    TEXT_TO_SPEECH = "text-to-speech"
    MODERATION = "moderation"
    IMAGE = "image"


class Operation(StrEnum):
    """What a model is asked to do; providers/operations/table.py has a row for each one."""

    CHAT = "chat.completions"
    COMPLETION = "completions"
    EMBEDDINGS = "embeddings"
    TRANSCRIPTION = "audio.transcriptions"
    TRANSLATION = "audio.translations"
    SPEECH = "audio.speech"
    RERANK = "rerank"
    MODERATION = "moderations"
    IMAGES = "images.generations"
    IMAGE_EDITS = "images.edits"

    @property
    def path(self) -> str:
        """Path of the endpoint below /v1/."""
        return self.value.replace(".", "/")


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a credential or of a hosted model.

    Args:
        name: Key in `values`.
        label: Lazy text.
        help_text: Lazy text.
        prefix: How such a key usually starts, for hints only.
        advanced: Hidden until the form's advanced part is opened.
        choices: Pairs of value and label.
        group: Heading of an alternative, such as a key or a sign-in. Exactly one of a form's groups
            is filled in.
        env: Environment variables that usually hold the value, for the import of pasted lines.
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
    """A file sent by a client. filename: with its extension."""

    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Native:
    """A request in a format other than the neutral one, for a provider that speaks it.

    Args:
        dialect: The format's name, a key of Provider.dialects.
        data: The JSON body as the client sent it, with the client's name of the model.
        headers: The client's headers that belong to the format.
        neutral: Converts the body to the neutral form, for a server that refuses this one. Raises
            CannotExpress.
    """

    dialect: str
    data: bytes = field(repr=False)
    headers: Mapping[str, str]
    neutral: Callable[[], dict[str, Any]] = field(repr=False)


@dataclass(slots=True)
class Request:
    """A request with OpenAI's JSON body; `model` is the provider's own name of the model.

    Args:
        native: Set if the request goes out in a format of its own, which `body` is in too.
    """

    operation: Operation
    model: str
    body: dict[str, Any]
    stream: bool = False
    upload: Upload | None = None
    native: Native | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """The account of a call. `values` holds opened secrets, which the repr never shows."""

    values: Mapping[str, str] = field(repr=False)
    base_url: str = ""  # normalised; empty for the provider's own
    # Fields of a hosted model.
    model_values: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about a model that wires use; unknown ones are None or absent, never 0."""

    name: str = ""
    type: ModelType = ModelType.REASONING
    context_window: int | None = None
    max_output: int | None = None
    # vision, tools, json_schema, reasoning, audio, tools_responses_only, ...
    features: frozenset[str] = frozenset()
    max_inputs: int | None = None  # texts per embedding request
    # By name: {"min", "max", "default", "supported": bool, "with_effort_none": bool}. Unsupported
    # parameters are omitted, except those allowed with reasoning_effort "none".
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # Texts for the provider's own wire, such as a path that depends on the model
    # (models_catalog.facts.schema.VALUES).
    values: Mapping[str, str] = field(default_factory=dict)


ORDER = 100  # default position of a provider in lists
MAX_WHOLE = 16 * 1024 * 1024  # bytes of a body that is read whole


@dataclass(slots=True)
class Call:
    """An HTTP request to be made by a transport.

    Args:
        stream: Whether to leave the body of a 2xx reply open.
        accept: Statuses of 400 and above that the wire handles; all others end the exchange.
        delay: Seconds to wait before the call; polling wires do not wait by themselves.
        undo: Cancels the work at the provider; made if the exchange is abandoned after this call.
        secrets: Secrets that this call adds, such as a fetched token; removed from errors.
        limit: Most bytes of a body that is read whole.
        of_answer: Whether the URL stood in an answer: that it cannot be reached says nothing of the
            account.
        file: The body, instead of `body`; its type stands in the headers.
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
    of_answer: bool = False
    file: OpenFile | None = field(default=None, repr=False)


@dataclass(slots=True)
class Reply:
    """The reply to a Call. Header names are in lower case; the body of an open stream is empty.

    Attributes:
        value: What the body says, if it was parsed and its value has not been taken.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    open: bool = False  # whether a Decoder will read the body
    value: Any = field(default=None, init=False, repr=False, compare=False)


@dataclass(slots=True)
class Usage:
    """Usage reported by the provider, in tokens, seconds, characters or images; None if not."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_seconds: float | None = None
    characters: int | None = None
    cache_write_tokens: int | None = None  # part of prompt_tokens, as cached_tokens are
    total_tokens: int | None = None  # only if the parts are unknown
    images: int | None = None  # generated
    image_size: str = ""  # width x height, as they determine an image's price
    image_quality: str = ""
    image_input_tokens: int | None = None  # part of prompt_tokens
    image_output_tokens: int | None = None  # part of completion_tokens
    cache_write_1h_tokens: int | None = None  # part of cache_write_tokens
    audio_input_tokens: int | None = None  # part of prompt_tokens
    audio_output_tokens: int | None = None  # part of completion_tokens
    tools: Mapping[str, int] | None = None  # uses of the provider's own tools: {"web_search": 2}
    service_tier: str = ""  # that served the call; "" for the one with list prices
    region: str = ""  # where it ran, if that was chosen
    batch: Decimal | None = None  # the share of the list price that a batch costs
    cost: Decimal | None = None  # what the provider says it charged
    # The shortest and the longest prompt, if this is the sum of several calls.
    prompts: tuple[int, int] | None = None


@dataclass(slots=True)
class Answer:
    """A complete answer: OpenAI's JSON in `body`, or in `content` what is sent as it is.

    Args:
        output_characters: Of the text in `content`, to estimate tokens if no usage is reported.
    """

    body: dict[str, Any] | None
    usage: Usage | None = None
    content: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    finish_reason: str | None = None
    output_characters: int = 0


@dataclass(slots=True)
class Frame:
    """The payload of one `data:` line for the client: the JSON of an OpenAI chunk.

    In the answer to a native request: whole events as the provider wrote them.

    Args:
        content: Whether it holds part of the answer: text, reasoning or a tool call.
        usage_only: Whether it holds usage but no choices; sent only to clients that asked for it.
    """

    data: bytes
    content: bool = False
    usage_only: bool = False


class Decoder(Protocol):
    """A decoder of a provider's stream into frames, with usage and output size for the ledger.

    feed and finish raise ProviderError if the stream reports an error or breaks its format.
    """

    @property
    def usage(self) -> Usage | None: ...

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def output_characters(self) -> int:
        """Characters of text so far, to estimate tokens if no usage is reported."""

    @property
    def done(self) -> bool:
        """Whether the provider has marked the stream as complete."""

    def feed(self, data: bytes) -> Sequence[Frame]: ...

    def finish(self) -> Sequence[Frame]: ...


class Continued(Decoder, Protocol):
    """A Decoder that makes more calls, to poll for more data or to fetch the usage.

    next_call is made after finish(), or as soon as `done` is set. Its whole reply is passed to
    `answered`, which sets the next call or None. An error in the reply ends the stream.
    """

    @property
    def next_call(self) -> Call | None: ...

    def answered(self, reply: Reply) -> Sequence[Frame]: ...


# A wire yields its Calls one by one and is sent each Reply. It returns an Answer or, for a streamed
# request, the Decoder of the body that the last Call left open. Without a network, it returns a
# Decoder whose finish() yields everything.
Exchange = Generator[Call, Reply, "Answer | Decoder"]
MakeExchange = Callable[["Provider", Request, Access, ModelFacts], Exchange]
# For checks and imports.
CheckExchange = Generator[Call, Reply, None]
ListExchange = Generator[Call, Reply, "list[ListedModel]"]
# Maps a Reply with status >= 400, or 2xx with an error in it, to the error; None if it is unknown.
ErrorMap = Callable[[Reply], ProviderError | None]


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A row of a provider's own list of models; unknown values are None or empty."""

    name: str
    type: ModelType | None = None
    label: str = ""
    context_window: int | None = None
    max_output: int | None = None
    features: frozenset[str] | None = None
    retires: str = ""  # ISO date


@dataclass(frozen=True, slots=True)
class Provider:
    """The declaration of a provider. Adapters end in `PROVIDER = Provider(...)`."""

    slug: str
    label: Any
    kind: Kind
    model_types: tuple[ModelType, ...]
    credential_fields: tuple[Field, ...]
    # One function per offered operation.
    operations: Mapping[Operation, MakeExchange]
    errors: ErrorMap
    # Formats besides the neutral one in which chat is passed on as it is, by their door's name. An
    # exchange may ask otherwise; its frames are then neutral, and its decoder is not `native`.
    dialects: Mapping[str, MakeExchange] = field(default_factory=dict)
    # How to count the tokens of such a request, without cost; the answer is passed on as it is.
    counts: Mapping[str, MakeExchange] = field(default_factory=dict)
    # Files and batches in OpenAI's format, or batches in Anthropic's: no provider has both.
    storage: Storage | None = None
    message_batches: Storage | None = None
    # Default base URL; empty if the tenant must enter one.
    default_base_url: str = ""
    # Derives the base URL from the credential's other values, such as a region, if the tenant
    # entered none; empty for the default. Raises ValueError with a message for the form.
    base_url_of: Callable[[Mapping[str, str]], str] | None = None
    # Splits a pasted URL into the base URL and values of other fields, such as an API version.
    # Typed values take precedence.
    read_base_url: Callable[[str], tuple[str, Mapping[str, str]]] | None = None
    # Returns a message for the form about missing values, secret ones included; empty if complete.
    complete: Callable[[Mapping[str, str]], str] | None = None
    model_fields: tuple[Field, ...] = ()  # of a hosted model, besides name and type
    model_label: Any = ""  # the provider's own term for a model's name
    # None if only models can be checked, which happens when they are added.
    check: Callable[[Provider, Access], CheckExchange] | None = None
    # A free check of a hosted model by name and type. Without one, the smallest request is made.
    check_model: Callable[[Provider, Access, str, ModelType], CheckExchange] | None = None
    # Whether the check costs money (a one-token call); pages warn about it.
    check_is_billed: bool = False
    list_models: Callable[[Provider, Access], ListExchange] | None = None
    # For models without built-in facts.
    guess_type: Callable[[str], ModelType | None] | None = None
    description: Any = ""
    key_url: str = ""
    docs_url: str = ""
    order: int = ORDER  # position in lists; ties are sorted by slug
    local: bool = False  # answers without a network (Demo)
    allow_unchecked: bool = False  # allows saving unchecked, for servers that may be down
    may_lack_version: bool = False  # servers may be without the version in their paths
    unlimited: bool = False  # knows max_tokens -1, which means no limit
    # Wants the `reasoning_content` before a call of a tool back with the call.
    replays_thoughts: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", bounded(self.errors))  # the class is frozen

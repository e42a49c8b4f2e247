"""The OpenAPI document of /v1, made from the tables of operations, doors and error codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    BOOLEAN,
    FILE,
    NUMBER,
    TEXT,
    Schema,
    any_of,
    list_of,
    nullable,
    object_of,
    reference,
)
from core.api.openapi_parts import ABOUT, VERSION, resolved
from gateway.dataplane.doors.openai import DOOR as OPENAI
from gateway.dataplane.doors.registry import DOORS, ENDPOINTS, Endpoint
from gateway.dataplane.requests.addresses import COUNT, MODELS
from gateway.dataplane.requests.schema import MODEL_LENGTH
from gateway.openapi import errors, headers, kept, keys, stored
from gateway.openapi.formats import messages, models
from gateway.openapi.formats.declaration import Format
from gateway.openapi.formats.descriptions import described
from gateway.openapi.formats.registry import format_of
from models_catalog.scenarios import SCENARIOS
from providers.declaration.spec import ModelType
from providers.operations.columns import FileField, OperationSpec, Stream
from providers.operations.table import MODEL_TYPES, OPERATIONS

Part = dict[str, Any]
EVENT_STREAM: Final = "text/event-stream"
_MODELS_TAG: Final = "models"
_DESCRIPTION: Final = _(
    "Call the models of a workspace, in the formats of OpenAI and Anthropic.\n"
    "\n"
    "Send an app key with the scope `use` as `Authorization: Bearer mk_live_...`. "
    "Fields that are not listed here are passed on to providers that speak the same format. "
    "A stream that fails after it has begun ends with an event that holds the error.\n"
    "\n"
    "To manage the workspace, use the REST API under `/api/v1/`.\n"
)
_SECURITY: Final[Mapping[str, Part]] = {
    "appKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "mk_live_...",
        "description": _("An app key of the workspace."),
    },
    "appKeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": _("The same app key, as Anthropic's clients send it."),
    },
}
_MODEL: Final[Schema] = {
    "type": ["string", "null"],
    "maxLength": MODEL_LENGTH,
    "description": _(
        "`provider/model`, the name of a model that only one provider has, or a scenario such as "
        "`reasoning`. If it is left out, the scenario's default model answers."
    ),
}
_STREAM: Final[Schema] = {
    "type": ["boolean", "null"],
    "description": _("Whether to answer with server-sent events."),
}
_STREAM_OPTIONS: Final = nullable(
    object_of(
        {},
        {"include_usage": {"type": "boolean", "description": _("Whether to end with the usage.")}},
    )
)


@lru_cache(maxsize=8)
def document(language: str) -> Part:
    """Return the document in the active language, without servers.

    Args:
        language: The active one, which the result is kept for.
    """
    schemas: dict[str, Schema] = {
        **errors.schemas(),
        **models.SCHEMAS,
        **kept.SCHEMAS,
        **stored.SCHEMAS,
        **keys.SCHEMAS,
    }
    paths = {path: {"post": _call(path, endpoint, schemas)} for path, endpoint in ENDPOINTS.items()}
    paths[COUNT] = {"post": _count(schemas)}
    paths |= kept.paths(str(ModelType.REASONING)) | stored.paths() | _models() | keys.paths()
    made: Part = resolved(
        {
            "openapi": "3.1.0",
            "info": {
                "title": gettext("Modelkeep model API"),
                "version": VERSION,
                "description": _DESCRIPTION,
                **ABOUT,
            },
            "security": [{name: []} for name in _SECURITY],
            "tags": _tags(),
            "paths": paths,
            "components": {
                "securitySchemes": _SECURITY,
                "schemas": described(schemas),
                "headers": headers.SENT,
                "responses": errors.responses(DOORS.values()),
            },
        }
    )
    return made


def _tags() -> list[Part]:
    types = [_tag(str(row.model_type), row.label, row.label) for row in MODEL_TYPES.values()]
    models_tag = _tag(_MODELS_TAG, _("Models"), _("The models that can be called."))
    stored_tags = (_tag(name, *texts) for name, texts in stored.TAGS.items())
    key_tag = _tag(keys.TAG, _("App key"), _("What an app key may do."))
    return [*types, *stored_tags, models_tag, key_tag]


def _tag(name: str, title: Any, description: Any) -> Part:
    return {"name": name, "x-displayName": title, "description": description}


def _call(path: str, endpoint: Endpoint, schemas: dict[str, Schema]) -> Part:
    """Describe an operation in one door's format."""
    described = _posted(path, endpoint, format_of(endpoint), headers.OF_CALLS, schemas)
    described["parameters"].insert(0, headers.IDEMPOTENCY_KEY)
    return described


def _count(schemas: dict[str, Schema]) -> Part:
    endpoint = ENDPOINTS[COUNT.rpartition("/")[0]]
    return _posted(COUNT, endpoint, messages.COUNT_TOKENS, headers.OF_COUNTS, schemas)


def _posted(
    path: str,
    endpoint: Endpoint,
    form: Format,
    sent: Iterable[str],
    schemas: dict[str, Schema],
) -> Part:
    spec, door = OPERATIONS[endpoint.operation], endpoint.door
    schemas.update(form.parts)
    answer = {
        "description": _("The answer."),
        "headers": headers.sent([door], sent),
        "content": _content(form, endpoint, schemas),
    }
    return {
        "operationId": _operation_id(path),
        "tags": [str(spec.model_type)],
        "summary": form.summary or spec.label,
        "description": form.description,
        "parameters": [headers.REQUEST_ID, *headers.forwarded(door)],
        "requestBody": {"required": True, "content": _bodies(spec, form, endpoint, schemas)},
        "responses": {"200": answer, **errors.references(door, has_body=True)},
    }


def _operation_id(path: str) -> str:
    return path.removeprefix("/v1/").replace("/", "_")


def _bodies(
    spec: OperationSpec, form: Format, endpoint: Endpoint, schemas: dict[str, Schema]
) -> Part:
    """Return the media types of a request."""
    bodies: Part = {}
    if spec.file is None or spec.file.as_json is not None:
        name = f"{form.name}Request"
        schemas[name] = _request(spec, form, endpoint)
        bodies["application/json"] = {
            "schema": reference(name),
            "example": _example(spec, form),
        }
    if spec.file is not None:
        name = f"{form.name}Form"
        schemas[name] = _form(spec, spec.file, form)
        bodies["multipart/form-data"] = {"schema": reference(name)}
    return bodies


def _request(spec: OperationSpec, form: Format, endpoint: Endpoint) -> Schema:
    """Return the schema of a JSON body: what is checked here, and what is passed on."""
    checked = (form.check or spec.check).schema
    fields: dict[str, Schema] = {"model": _MODEL}
    if form.event is not None and spec.stream in (Stream.CHUNKS, Stream.EVENTS):
        fields["stream"] = _STREAM
    if spec.stream is Stream.CHUNKS and endpoint.door is OPENAI:
        fields["stream_options"] = _STREAM_OPTIONS
    return {**checked, "properties": {**checked["properties"], **fields, **form.fields}}


def _form(spec: OperationSpec, file: FileField, form: Format) -> Schema:
    """Return the schema of a form, whose files may stand for fields of a JSON body."""
    checked = (form.check or spec.check).schema
    several = list_of(FILE, minItems=1, maxItems=file.most)
    files = {file.name: FILE if file.most == 1 else several, **dict.fromkeys(file.others, FILE)}
    instead = {*files, *(file.as_json({file.name: ()}) if file.as_json else ())}
    fields = {
        name: _of_form(schema)
        for name, schema in checked["properties"].items()
        if name not in instead
    }
    numbers = dict.fromkeys(sorted(file.numbers - fields.keys()), NUMBER)
    asked = {"model": TEXT, "stream": BOOLEAN, **numbers}
    required = [name for name in checked.get("required", ()) if name not in instead]
    properties = {**fields, **asked, **files, **form.fields}
    return {"type": "object", "required": [*required, file.name], "properties": properties}


def _of_form(schema: Schema) -> Schema:
    """Return a field's schema without null, which forms don't have."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return {**schema, "type": kind[0]}
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return choices[0] if len(choices) == 1 else schema


def _example(spec: OperationSpec, form: Format) -> Part:
    scenario = next(row.slug for row in SCENARIOS if row.type is spec.model_type)
    return {"model": scenario, **(form.example or spec.example or spec.probe)}


def _content(form: Format, endpoint: Endpoint, schemas: dict[str, Schema]) -> Part:
    """Return the media types of an answer."""
    content: Part = {}
    if form.answer is not None:
        schemas[form.name] = form.answer
        content["application/json"] = {"schema": reference(form.name)}
    content |= {kind: {"schema": schema} for kind, schema in form.other_answers.items()}
    if form.event is not None:
        name, chunk = f"{form.name}Event", f"{form.name}Chunk"
        schemas[chunk] = form.event
        schemas[name] = {
            **any_of(reference(chunk), reference(errors.name_of(endpoint.door))),
            "description": _("The `data` of one event of a stream."),
        }
        stream = {**TEXT, "contentMediaType": EVENT_STREAM, "contentSchema": reference(name)}
        content[EVENT_STREAM] = {"schema": stream}
    return content


def _models() -> dict[str, Part]:
    one = {
        "name": "model",
        "in": "path",
        "required": True,
        "schema": TEXT,
        "description": _(
            "`provider/model`, or the name of a model that only one provider has. "
            "The slash may be encoded as %2F."
        ),
    }
    lists, objects = ("ModelList", "AnthropicModelList"), ("Model", "AnthropicModel")
    return {
        MODELS: {"get": _listed("models_list", _("List the models"), lists, models.QUERY)},
        f"{MODELS}/{{model}}": {"get": _listed("models_get", _("Show a model"), objects, [one])},
    }


def _listed(
    operation_id: str, summary: Any, names: Iterable[str], parameters: Iterable[Part]
) -> Part:
    marked = [door for door in DOORS.values() if door.marker]
    content = {"schema": any_of(*map(reference, names))}
    answer = {
        "description": _("The answer."),
        "headers": headers.sent(DOORS.values()),
        "content": {"application/json": content},
    }
    return {
        "operationId": operation_id,
        "tags": [_MODELS_TAG],
        "summary": summary,
        "description": _(
            "Those that this app key can call. With the header `anthropic-version`, the answer "
            "and errors have Anthropic's form."
        ),
        "parameters": [*parameters, *(headers.marker(door) for door in marked), headers.REQUEST_ID],
        "responses": {"200": answer, **errors.references(*DOORS.values(), has_body=False)},
    }

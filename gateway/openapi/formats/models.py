"""The list of models in OpenAI's and in Anthropic's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    ANYTHING,
    BOOLEAN,
    INTEGER,
    TEXT,
    Schema,
    constant,
    list_of,
    nullable,
    object_of,
    one_of,
    reference,
)
from gateway.dataplane.doors.model_lists import MOST, PAGE
from providers.declaration.spec import ModelType

_DAY: Final[Schema] = {"type": "string", "format": "date"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Model": object_of(
        {
            "id": {**TEXT, "description": _("`provider/model`: what calls take as `model`.")},
            "object": constant("model"),
            "created": INTEGER,
            "owned_by": {**TEXT, "description": _("The provider's slug.")},
            "type": nullable(one_of(*map(str, ModelType))),
            "name": TEXT,
            "context_window": {**nullable(INTEGER), "description": _("In tokens.")},
            "max_output_tokens": nullable(INTEGER),
            "features": list_of(TEXT),
            "pricing": {
                **nullable({"type": "object", "additionalProperties": ANYTHING}),
                "description": _(
                    "For one token, character or minute, as texts; `null` if unknown."
                ),
            },
            "retires": {**nullable(_DAY), "description": _("The model's shutdown date.")},
        }
    ),
    "ModelList": object_of({"object": constant("list"), "data": list_of(reference("Model"))}),
    "AnthropicModel": object_of(
        {
            "type": constant("model"),
            "id": TEXT,
            "display_name": TEXT,
            "created_at": _TIME,
            "lifecycle": one_of("active", "deprecated", "retired"),
            "max_input_tokens": nullable(INTEGER),
            "max_tokens": nullable(INTEGER),
        },
        {"retires_at": _TIME},
    ),
    "AnthropicModelList": object_of(
        {
            "data": list_of(reference("AnthropicModel")),
            "has_more": BOOLEAN,
            "first_id": nullable(TEXT),
            "last_id": nullable(TEXT),
        }
    ),
}


def _query(name: str, schema: Schema, description: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


_SEVERAL: Final = {"style": "form", "explode": False}
QUERY: Final = (
    {
        **_query("type", list_of(one_of(*map(str, ModelType))), _("Only models of these types.")),
        **_SEVERAL,
    },
    {
        **_query("provider", list_of(TEXT), _("Only models of these providers, by their slugs.")),
        **_SEVERAL,
    },
    _query(
        "include",
        one_of("retired"),
        _("`retired` lists models too that their providers have shut down."),
    ),
    _query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": PAGE},
        _("Models in a page of Anthropic's form."),
    ),
    _query("after_id", TEXT, _("In Anthropic's form: the model before the page.")),
    _query("before_id", TEXT, _("In Anthropic's form: the model after the page.")),
)

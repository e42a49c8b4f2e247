"""Anthropic (https://docs.anthropic.com/en/api)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from providers.declaration.fields import base_url_field
from providers.declaration.spec import (
    Access,
    CheckExchange,
    Field,
    Kind,
    ListedModel,
    ListExchange,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
)
from providers.wire.anthropic.batches import anthropic_batches
from providers.wire.anthropic.errors import anthropic_errors
from providers.wire.anthropic.messages import EFFORTS, VERSION, Rules, anthropic_messages
from providers.wire.anthropic.model_list import listed_model
from providers.wire.anthropic.native import anthropic_count, anthropic_native
from providers.wire.http import get, key_in, url_of
from providers.wire.openai.model_list import MAX_MODELS, rows_of

KEY_URL = "https://platform.claude.com/settings/keys"

# For models without facts: https://platform.claude.com/docs/en/about-claude/models/overview.
# Models up to 4.6 accept sampling (from 4.5 on, temperature or top_p but not both) and a thinking
# budget; from 4.6 on, they accept an effort. Other names are newer.
_OLD = re.compile(r"claude-(?:instant|v?[12](?!\d)|3-|(?:opus|sonnet)-4(?:-[01])?(?:-\d{8})?$)")
_4_5 = re.compile(r"claude-(?:haiku|sonnet|opus)-4-5(?:-\d{8})?$")
_4_6 = re.compile(r"claude-(?:sonnet|opus)-4-6(?:-\d{8})?$")
_ALWAYS = re.compile(r"claude-(?:fable|mythos)-5|claude-opus-5-5")
_NO_THINKING = re.compile(r"claude-(?:instant|v?[12](?!\d)|3-(?!7))")
EFFORTS_4_6 = ("low", "medium", "high", "max")


def rules_of(model: str, facts: ModelFacts) -> Rules:
    old, features = bool(_OLD.match(model)), facts.features
    sampling = facts.parameters.get("temperature", {}).get("supported")
    adaptive, budget = thinking_of(model, features)
    return Rules(
        sampling=sampling
        if isinstance(sampling, bool)
        else bool(old or _4_5.match(model) or _4_6.match(model)),
        both_samplings=old,
        adaptive=adaptive,
        budget=budget,
        always="always_thinking" in features or bool(_ALWAYS.match(model)),
        efforts=EFFORTS_4_6 if _4_6.match(model) else EFFORTS,
        schemas="json_schema" in features or not (features or old),
    )


def thinking_of(model: str, features: frozenset[str]) -> tuple[bool, bool]:
    """Tell whether the model accepts an effort, and whether it accepts a number of tokens."""
    if features & {"adaptive_thinking", "thinking_budget"}:
        return "adaptive_thinking" in features, "thinking_budget" in features
    if _NO_THINKING.match(model) or (features and "reasoning" not in features):
        return False, False
    older = bool(_OLD.match(model) or _4_5.match(model))
    return not older, older or bool(_4_6.match(model))


auth = key_in("x-api-key")


def check(provider: Provider, access: Access) -> CheckExchange:
    """List one model, which is free; a key without credit passes, and fails at the first
    message.
    """
    reply = yield get(
        url_of(provider, access, "/models?limit=1"), {**auth(access), "anthropic-version": VERSION}
    )
    rows_of(reply)


def list_models(provider: Provider, access: Access) -> ListExchange:
    models: list[ListedModel] = []
    after = ""
    while len(models) < MAX_MODELS:
        query = urlencode({"limit": 1000, **({"after_id": after} if after else {})})
        reply = yield get(
            url_of(provider, access, f"/models?{query}"),
            {**auth(access), "anthropic-version": VERSION},
        )
        rows = rows_of(reply)
        models += (of_row(row) for row in rows)
        if (
            not rows
            or b'"has_more":true' not in reply.body.replace(b" ", b"")
            or rows[-1]["id"] == after
        ):
            break
        after = rows[-1]["id"]
    return models


def of_row(row: dict[str, Any]) -> ListedModel:
    """Convert a row, and add whether the model always thinks, which the list does not say."""
    model = listed_model(row)
    if model.features is None or "reasoning" not in model.features:
        return model
    return replace(
        model,
        features=model.features | {"always_thinking" if _ALWAYS.match(model.name) else "thinking"},
    )


def guess_type(model: str) -> ModelType | None:
    return ModelType.REASONING


PROVIDER = Provider(
    slug="anthropic",
    label="Anthropic",
    kind=Kind.OWN,
    order=3,
    model_types=(ModelType.REASONING,),
    description=_("Claude models for conversations, code and long documents."),
    key_url=KEY_URL,
    docs_url="https://docs.anthropic.com",
    credential_fields=(
        Field(
            "api_key",
            _("API key"),
            secret=True,
            help_url=KEY_URL,
            placeholder="sk-ant-...",
            prefix="sk-ant-",
            env=("ANTHROPIC_API_KEY", "CLAUDE_API_KEY"),
        ),
        base_url_field(),
    ),
    default_base_url="https://api.anthropic.com/v1",
    operations={Operation.CHAT: anthropic_messages(auth=auth, rules_of=rules_of)},
    dialects={"messages": anthropic_native(auth=auth)},
    counts={"messages": anthropic_count(auth=auth)},
    message_batches=anthropic_batches(auth=auth),
    errors=anthropic_errors,
    check=check,
    list_models=list_models,
    guess_type=guess_type,
)

"""Anthropic (https://docs.anthropic.com/en/api)."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from providers.adapters._shared import base_url_field
from providers.spec import Access, CheckExchange, Field, Kind, ListedModel, ListExchange, ModelFacts, ModelType, Operation, Provider
from providers.wire.anthropic_answers import anthropic_errors, listed_model
from providers.wire.anthropic_messages import VERSION, Rules, Thinking, anthropic_messages
from providers.wire.http import get, url_of
from providers.wire.model_list import MAX_MODELS, rows_of

KEY_URL = "https://platform.claude.com/settings/keys"

# https://platform.claude.com/docs/en/about-claude/models/overview: up to 4.6 sampling is taken (from 4.5 on temperature
# or top_p, not both), from 4.6 on thinking is adaptive. Names we do not know are newer than these.
_OLD = re.compile(r"claude-(?:instant|v?[12](?!\d)|3-|(?:opus|sonnet)-4(?:-[01])?(?:-\d{8})?$)")
_4_5 = re.compile(r"claude-(?:haiku|sonnet|opus)-4-5(?:-\d{8})?$")
_4_6 = re.compile(r"claude-(?:sonnet|opus)-4-6(?:-\d{8})?$")
_ALWAYS = re.compile(r"claude-(?:fable|mythos)-5|claude-opus-5-5")
_NO_THINKING = re.compile(r"claude-(?:instant|v?[12](?!\d)|3-(?!7))")


def rules_of(model: str, facts: ModelFacts) -> Rules:
    old = bool(_OLD.match(model))
    known = facts.parameters.get("temperature", {}).get("supported")
    sampling = known if isinstance(known, bool) else bool(old or _4_5.match(model) or _4_6.match(model))
    return Rules(sampling=sampling, both_samplings=old, thinking=_thinking(model, old))


def _thinking(model: str, old: bool) -> Thinking:
    if _NO_THINKING.match(model):
        return ""
    if _ALWAYS.match(model):
        return "always"
    return "budget" if old or _4_5.match(model) else "adaptive"


def auth(access: Access) -> dict[str, str]:
    return {"x-api-key": access.values.get("api_key", "")}


def check(provider: Provider, access: Access) -> CheckExchange:
    """Free. A key without credit passes and fails with the first message."""
    reply = yield get(url_of(provider, access, "/models?limit=1"), {**auth(access), "anthropic-version": VERSION})
    rows_of(reply)


def list_models(provider: Provider, access: Access) -> ListExchange:
    found: list[ListedModel] = []
    after = ""
    while len(found) < MAX_MODELS:
        query = urlencode({"limit": 1000, **({"after_id": after} if after else {})})
        reply = yield get(url_of(provider, access, f"/models?{query}"), {**auth(access), "anthropic-version": VERSION})
        rows = rows_of(reply)
        found += map(listed_model, rows)
        if not rows or b'"has_more":true' not in reply.body.replace(b" ", b"") or rows[-1]["id"] == after:
            break
        after = rows[-1]["id"]
    return found


def guess_type(model: str) -> ModelType | None:
    return ModelType.REASONING


PROVIDER = Provider(
    slug="anthropic",
    label="Anthropic",
    kind=Kind.OWN,
    model_types=(ModelType.REASONING,),
    description=_("Claude models."),
    key_url=KEY_URL,
    docs_url="https://docs.anthropic.com",
    credential_fields=(
        Field("api_key", _("API key"), secret=True, help_url=KEY_URL, placeholder="sk-ant-...", prefix="sk-ant-"),
        base_url_field(),
    ),
    default_base_url="https://api.anthropic.com/v1",
    operations={Operation.CHAT: anthropic_messages(auth=auth, rules_of=rules_of)},
    errors=anthropic_errors,
    check=check,
    list_models=list_models,
    guess_type=guess_type,
)

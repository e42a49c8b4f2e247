"""REST: serializers of models and default models."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import (
    Flag,
    PageQuery,
    QueryFlag,
    ShadowingField,
    StrictSerializer,
    Text,
    Whole,
)
from models_catalog.facts import prices
from models_catalog.facts.values import LARGEST
from models_catalog.models import TenantModel
from models_catalog.queries import DefaultChoice
from models_catalog.resolution.entries import Entry
from models_catalog.scenarios import SCENARIOS
from providers.api.serializers import FailureText
from providers.declaration.spec import ModelType

TYPES = [model_type.value for model_type in ModelType]
SLUGS = [scenario.slug for scenario in SCENARIOS]


class TierOut(serializers.Serializer[Any]):
    above = serializers.IntegerField(
        help_text=_("Above this many prompt tokens, these amounts apply to the whole request.")
    )
    input = serializers.CharField(required=False)
    output = serializers.CharField(required=False)
    cached_input = serializers.CharField(required=False)
    cache_write = serializers.CharField(required=False)
    cache_write_1h = serializers.CharField(required=False)
    thinking_output = serializers.CharField(required=False)
    audio_input = serializers.CharField(required=False)
    audio_output = serializers.CharField(required=False)


class ImageRateOut(serializers.Serializer[Any]):
    size = serializers.CharField(
        required=False, help_text=_("Width and height, such as 1024x1024; any if omitted.")
    )
    quality = serializers.CharField(required=False, help_text=_("Any if omitted."))
    amount = serializers.CharField()


@extend_schema_serializer(
    description=_(
        "Amounts are decimal strings per million tokens. Unknown amounts are omitted, never 0."
    )
)
class PriceOut(serializers.Serializer[Any]):
    currency = serializers.CharField()
    since = serializers.DateTimeField(
        required=False, help_text=_("When it came into force; always in force if omitted.")
    )
    free = serializers.BooleanField(required=False)
    input = serializers.CharField(required=False)
    output = serializers.CharField(required=False)
    cached_input = serializers.CharField(required=False)
    cache_write = serializers.CharField(required=False)
    thinking_output = serializers.CharField(
        required=False, help_text=_("All output of a response that includes thinking.")
    )
    per_minute = serializers.CharField(required=False, help_text=_("Per minute of audio."))
    per_million_characters = serializers.CharField(
        required=False, help_text=_("Per million characters of text to speak.")
    )
    per_image = serializers.CharField(
        required=False,
        help_text=_("Per image, unless `images` has an amount for its size and quality."),
    )
    images = ImageRateOut(many=True, required=False)
    image_input = serializers.CharField(
        required=False, help_text=_("Tokens of images sent, if they cost more than others.")
    )
    image_output = serializers.CharField(
        required=False, help_text=_("Tokens of images made, if they cost more than others.")
    )
    cache_write_1h = serializers.CharField(
        required=False, help_text=_("Written to a cache that keeps it for an hour.")
    )
    audio_input = serializers.CharField(required=False, help_text=_("Tokens of audio sent."))
    audio_output = serializers.CharField(required=False, help_text=_("Tokens of audio made."))
    tiers = TierOut(many=True, required=False)
    tools = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text=_("One use of each of the provider's own tools, such as `web_search`."),
    )
    service_tiers = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text=_("What the other amounts are multiplied by, for each service tier."),
    )
    regions = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text=_("What they are multiplied by if a call runs in a region."),
    )

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return prices.price_json(instance)


class RuleOut(serializers.Serializer[Any]):
    min = serializers.FloatField(required=False)
    max = serializers.FloatField(required=False)
    default: ShadowingField = serializers.JSONField(required=False)
    supported = serializers.BooleanField(required=False)
    with_effort_none = serializers.BooleanField(required=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return dict(instance)


class ModelOut(serializers.Serializer[Entry]):
    id = serializers.CharField(
        help_text=_('"provider/model": what the /v1 endpoints take as `model`.')
    )
    provider = serializers.CharField()
    model = serializers.CharField()
    type = serializers.ChoiceField(TYPES, allow_null=True, help_text=_("`null` if unknown."))
    label: ShadowingField = serializers.CharField()
    enabled = serializers.BooleanField()
    callable = serializers.SerializerMethodField(
        help_text=_(
            "Whether calls would be served if the model is enabled: by a credential, by a "
            "trial that includes it, or by its own key or address."
        )
    )
    origin = serializers.ChoiceField(
        TenantModel.Origin.values,
        help_text=_("Shipped with Modelkeep, from the provider's list, or added by hand."),
    )
    context_window = serializers.IntegerField(
        allow_null=True, help_text=_("In tokens; `null` if unknown.")
    )
    max_output = serializers.IntegerField(
        allow_null=True, help_text=_("In tokens; `null` if unknown.")
    )
    max_inputs = serializers.IntegerField(
        allow_null=True,
        help_text=_("Texts the provider accepts in one embedding request; `null` if unknown."),
    )
    features = serializers.SerializerMethodField()
    parameters = serializers.DictField(child=RuleOut())
    price = PriceOut(allow_null=True, help_text=_("`null` if unknown."))
    retired = serializers.DateField(allow_null=True, help_text=_("The model's shutdown date."))
    is_retired = serializers.BooleanField()
    successor = serializers.CharField(help_text=_("A model of the same provider, or empty."))
    missing = serializers.BooleanField(help_text=_("Missing from the provider's latest list."))
    added = serializers.BooleanField(help_text=_("Added by hand: can be deleted."))
    values = serializers.DictField(
        child=serializers.CharField(),
        help_text=_("Fields of a model added by hand that are not secret."),
    )
    base_url = serializers.CharField(help_text=_("The model's own base URL, or empty."))
    masked = serializers.CharField(
        source="mask", help_text=_("The model's own key, masked; empty if it has none.")
    )
    overrides = serializers.DictField(
        child=serializers.JSONField(), help_text=_("Facts overridden by this workspace.")
    )
    source: ShadowingField = serializers.CharField(help_text=_("Where the facts come from."))
    as_of = serializers.DateField(allow_null=True)

    def get_callable(self, entry: Entry) -> bool:
        return bool(self.context["can_call"](entry))

    def get_features(self, entry: Entry) -> list[str]:
        return sorted(entry.features)


class DefaultOut(serializers.Serializer[DefaultChoice]):
    scenario = serializers.ChoiceField(SLUGS, source="scenario.slug")
    label: ShadowingField = serializers.CharField(source="scenario.label")
    type = serializers.ChoiceField(
        TYPES, source="scenario.type", help_text=_("The model type this scenario needs.")
    )
    model = serializers.SerializerMethodField(
        help_text=_('"provider/model"; `null` if none is chosen.')
    )
    fallbacks = serializers.ListField(
        child=serializers.CharField(),
        help_text=_("Tried in this order when the previous model fails."),
    )
    usable = serializers.BooleanField(
        source="is_usable", help_text=_("The chosen model is in the catalog and switched on.")
    )

    def get_model(self, choice: DefaultChoice) -> str | None:
        return choice.model or None


class RefreshOut(serializers.Serializer[Any]):
    provider = serializers.CharField()
    models = serializers.IntegerField(help_text=_("The provider's models now in the catalog."))
    fetched = serializers.DateTimeField(allow_null=True)
    error = FailureText(
        help_text=_(
            "Why the provider's list could not be fetched, or empty. On failure, the "
            "previous list is kept."
        )
    )


class ModelQuery(PageQuery):
    type = serializers.ChoiceField(TYPES, required=False, help_text=_("Only models of this type."))
    provider = serializers.CharField(
        required=False, max_length=40, help_text=_("Only models of this provider, by its slug.")
    )
    enabled = QueryFlag(required=False, help_text=_("Only models that are switched on, or off."))
    callable = QueryFlag(
        required=False, help_text=_("Only models that calls can reach, or cannot.")
    )
    search = serializers.CharField(
        required=False, max_length=200, help_text=_("Part of a name or label.")
    )


class ModelIn(StrictSerializer):
    model = Text(max_length=200, help_text=_("The provider's name of the model or deployment."))
    type = serializers.ChoiceField(TYPES)
    values = serializers.DictField(
        child=Text(allow_blank=True, max_length=4000, trim_whitespace=False),
        default=dict,
        help_text=_("Values by field name; see the provider's `model_fields`."),
    )
    check = Flag(
        default=True,
        help_text=_("Send the model a test request first; if it fails, nothing is saved."),
    )


@extend_schema_serializer(
    description=_(
        "`enabled` switches the model on or off; every other field overrides a fact, and "
        "`null` removes the override."
    )
)
class ModelChange(StrictSerializer):
    enabled = Flag(required=False)
    type = serializers.ChoiceField(TYPES, required=False, allow_null=True)
    label: ShadowingField = Text(required=False, allow_null=True, max_length=200)
    context_window = Whole(required=False, allow_null=True, min_value=1, max_value=LARGEST)
    max_output = Whole(required=False, allow_null=True, min_value=1, max_value=LARGEST)
    max_inputs = Whole(required=False, allow_null=True, min_value=1, max_value=LARGEST)
    features = serializers.ListField(
        child=Text(max_length=200), required=False, allow_null=True, max_length=40
    )
    parameters = serializers.DictField(
        child=serializers.JSONField(),
        required=False,
        allow_null=True,
        help_text=_("Name -> {min, max, default, supported}."),
    )
    price = serializers.DictField(
        child=serializers.JSONField(),
        required=False,
        allow_null=True,
        help_text=_(
            '{"currency": "USD", "input": "2.50", "output": "10"}: decimal strings per million '
            'tokens, or {"currency", "free": true}.'
        ),
    )
    retired = serializers.DateField(required=False, allow_null=True)
    successor = Text(required=False, allow_null=True, max_length=200)


class DefaultIn(StrictSerializer):
    model = Text(
        max_length=241, help_text=_('"provider/model", switched on and of the scenario\'s type.')
    )
    fallbacks = serializers.ListField(child=Text(max_length=241), default=list, max_length=20)

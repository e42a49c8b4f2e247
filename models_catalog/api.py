"""REST: the catalog of models, models added by hand, and the default model of each scenario."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import listed, listing, page
from core.api.schema import operation, refused
from core.api.serializers import (
    Flag,
    NoBody,
    PageQuery,
    ShadowingField,
    StrictSerializer,
    Text,
    Whole,
)
from core.errors import NotFound
from models_catalog import queries
from models_catalog.facts import schema
from models_catalog.models import TenantModel
from models_catalog.queries import DefaultChoice
from models_catalog.resolution.catalog import Entry
from models_catalog.scenarios import SCENARIOS
from models_catalog.services import adding, defaults, setup
from models_catalog.services import models as model_services
from providers import queries as provider_queries
from providers.api.serializers import FailureText
from providers.declaration.spec import ModelType
from tenants.api.base import ApiView
from tenants.auth.permissions import Action

TAG, DEFAULTS = gettext_noop("Models"), gettext_noop("Default models")
TYPES = [one.value for one in ModelType]
SLUGS = [scenario.slug for scenario in SCENARIOS]
TRUTH = {"true": True, "false": False}


# Answers


class TierOut(serializers.Serializer[Any]):
    above = serializers.IntegerField(
        help_text=_("Prompt tokens from which on these amounts hold for the whole request.")
    )
    input = serializers.CharField(required=False)
    output = serializers.CharField(required=False)
    cached_input = serializers.CharField(required=False)
    cache_write = serializers.CharField(required=False)
    thinking_output = serializers.CharField(required=False)


@extend_schema_serializer(
    description=_(
        "Amounts are decimal strings per million tokens; what is not known is absent, never 0."
    )
)
class PriceOut(serializers.Serializer[Any]):
    currency = serializers.CharField()
    free = serializers.BooleanField(required=False)
    input = serializers.CharField(required=False)
    output = serializers.CharField(required=False)
    cached_input = serializers.CharField(required=False)
    cache_write = serializers.CharField(required=False)
    thinking_output = serializers.CharField(
        required=False, help_text=_("Of all output where the model thought.")
    )
    per_minute = serializers.CharField(required=False, help_text=_("Of audio."))
    per_million_characters = serializers.CharField(required=False, help_text=_("Of text to speak."))
    tiers = TierOut(many=True, required=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return schema.price_json(instance)


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
    type = serializers.ChoiceField(TYPES, allow_null=True, help_text=_("null: not known."))
    label: ShadowingField = serializers.CharField()
    enabled = serializers.BooleanField()
    callable = serializers.SerializerMethodField(
        help_text=_(
            "Whether calls would be served if it is enabled: by a credential, a trial that has "
            "this model, or its own key or address."
        )
    )
    origin = serializers.ChoiceField(
        TenantModel.Origin.values,
        help_text=_("Shipped with Modelkeep, from the provider's list, or added by hand."),
    )
    context_window = serializers.IntegerField(
        allow_null=True, help_text=_("Tokens; null is not known.")
    )
    max_output = serializers.IntegerField(
        allow_null=True, help_text=_("Tokens; null is not known.")
    )
    max_inputs = serializers.IntegerField(
        allow_null=True,
        help_text=_("Texts that the provider takes in one embedding request; null is not known."),
    )
    features = serializers.SerializerMethodField()
    parameters = serializers.DictField(child=RuleOut())
    price = PriceOut(allow_null=True, help_text=_("null: not known."))
    retired = serializers.DateField(allow_null=True, help_text=_("The day it is or was shut down."))
    is_retired = serializers.BooleanField()
    successor = serializers.CharField(help_text=_("A model of the same provider, or empty."))
    missing = serializers.BooleanField(help_text=_("The provider's last list did not have it."))
    added = serializers.BooleanField(help_text=_("Added by hand: can be deleted."))
    values = serializers.DictField(
        child=serializers.CharField(),
        help_text=_("Fields of a model added by hand that are not secret."),
    )
    base_url = serializers.CharField(help_text=_("Its own address, or empty."))
    masked = serializers.CharField(
        source="mask", help_text=_("Its own key, masked; empty without one.")
    )
    overrides = serializers.DictField(
        child=serializers.JSONField(), help_text=_("Facts that this workspace set itself.")
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
        TYPES, source="scenario.type", help_text=_("Models of this type fit.")
    )
    model = serializers.SerializerMethodField(
        help_text=_('"provider/model"; null where nothing is chosen.')
    )
    fallbacks = serializers.ListField(
        child=serializers.CharField(),
        help_text=_("Tried in this order where the model before fails."),
    )
    usable = serializers.BooleanField(
        source="is_usable", help_text=_("The chosen model is in the catalog and switched on.")
    )

    def get_model(self, choice: DefaultChoice) -> str | None:
        return choice.model or None


class RefreshOut(serializers.Serializer[Any]):
    provider = serializers.CharField()
    models = serializers.IntegerField(
        help_text=_("How many models of the provider the catalog knows now.")
    )
    fetched = serializers.DateTimeField(allow_null=True)
    error = FailureText(
        help_text=_(
            "Why the provider's list could not be fetched, or empty; the older list stays then."
        )
    )


# Input


class ModelQuery(PageQuery):
    type = serializers.ChoiceField(TYPES, required=False)
    provider = serializers.CharField(required=False, max_length=40)
    enabled = serializers.ChoiceField(["true", "false"], required=False)
    callable = serializers.ChoiceField(["true", "false"], required=False)
    search = serializers.CharField(
        required=False, max_length=200, help_text=_("Part of a name or label.")
    )


class ModelIn(StrictSerializer):
    model = Text(max_length=200, help_text=_("The provider's name of the model or deployment."))
    type = serializers.ChoiceField(TYPES)
    values = serializers.DictField(
        child=Text(allow_blank=True, max_length=4000, trim_whitespace=False),
        default=dict,
        help_text=_("By field name; the provider's `model_fields` says which there are."),
    )
    check = Flag(
        default=True,
        help_text=_("Ask the model something first; nothing is stored where it fails."),
    )


@extend_schema_serializer(
    description=_(
        "`enabled` switches; every other field overrides a fact, and null takes the override back."
    )
)
class ModelChange(StrictSerializer):
    enabled = Flag(required=False)
    type = serializers.ChoiceField(TYPES, required=False, allow_null=True)
    label: ShadowingField = Text(required=False, allow_null=True, max_length=200)
    context_window = Whole(required=False, allow_null=True, min_value=1, max_value=schema.LARGEST)
    max_output = Whole(required=False, allow_null=True, min_value=1, max_value=schema.LARGEST)
    max_inputs = Whole(required=False, allow_null=True, min_value=1, max_value=schema.LARGEST)
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
            '{"currency": "USD", "input": "2.50", "output": "10"}: decimal strings per million tokens, or {"currency", "free": true}.'
        ),
    )
    retired = serializers.DateField(required=False, allow_null=True)
    successor = Text(required=False, allow_null=True, max_length=200)


class DefaultIn(StrictSerializer):
    model = Text(
        max_length=241, help_text=_('"provider/model", switched on and of the scenario\'s type.')
    )
    fallbacks = serializers.ListField(child=Text(max_length=241), default=list, max_length=20)


# Views


class ModelApiView(ApiView):
    """Views that show entries of the catalog."""

    def shown(self, entry: Entry) -> Any:
        return ModelOut(
            entry, context={"can_call": queries.can_call(tenant_id=self.tenant.pk)}
        ).data


class ModelsView(ModelApiView):
    required_actions = {"GET": Action.VIEW_MODELS}

    @operation(
        "models_list",
        _("List the models"),
        tag=TAG,
        query=ModelQuery,
        answers={200: listed(ModelOut, "ModelList")},
        description=_(
            "The models of every provider that is set up: by a credential, a trial that is on, or "
            "a model added by hand. "
            "`callable` says which of them calls can reach: of a trial it is the trial's own "
            "models only. /v1/models lists those."
        ),
    )
    def get(self, request: Request) -> Response:
        found = queries.entries(
            tenant_id=self.tenant.pk,
            provider=self.query.get("provider"),
            type=self.query.get("type"),
            enabled=TRUTH.get(self.query.get("enabled", "")),
            search=self.query.get("search", ""),
        )
        can_call, wanted = (
            queries.can_call(tenant_id=self.tenant.pk),
            TRUTH.get(self.query.get("callable", "")),
        )
        if wanted is not None:
            found = [entry for entry in found if can_call(entry) is wanted]
        rows, following = page(found, key=lambda entry: entry.id, **self.paging)
        return listing(ModelOut, rows, following, can_call=can_call)


class ModelView(ModelApiView):
    required_actions = {
        "GET": Action.VIEW_MODELS,
        "PATCH": Action.MANAGE_MODELS,
        "DELETE": Action.MANAGE_MODELS,
    }

    def entry(self, provider: str, model: str) -> Entry:
        found = queries.entry(tenant_id=self.tenant.pk, provider=provider, model=model)
        if found is None:
            raise NotFound("model_not_found", _("There is no such model in this workspace."))
        return found

    @operation("models_get", _("Show a model"), tag=TAG, answers={200: ModelOut})
    def get(self, request: Request, provider: str, model: str) -> Response:
        return Response(self.shown(self.entry(provider, model)))

    @operation(
        "models_change",
        _("Switch a model, or override its facts"),
        tag=TAG,
        body=ModelChange,
        answers={200: ModelOut},
        description=_(
            "A fact that is null goes back to what is shipped or what the provider says. "
            "Importing again keeps overrides."
        ),
    )
    def patch(self, request: Request, provider: str, model: str) -> Response:
        self.entry(provider, model)
        given = self.body(ModelChange)
        entry = model_services.change_model(
            tenant=self.tenant, actor=self.actor, provider=provider, model=model, **given
        )
        return Response(self.shown(entry))

    @operation(
        "models_delete",
        _("Delete a model that was added by hand"),
        tag=TAG,
        answers={
            204: None,
            409: refused(
                _(
                    "The model is shipped or the provider's own: it can be switched off, not "
                    "deleted."
                )
            ),
        },
    )
    def delete(self, request: Request, provider: str, model: str) -> Response:
        self.entry(provider, model)
        model_services.remove_model(
            tenant=self.tenant, actor=self.actor, provider=provider, model=model
        )
        return Response(status=204)


class ProviderModelsView(ModelApiView):
    required_actions = {"POST": Action.MANAGE_MODELS}

    @operation(
        "models_add",
        _("Add a model"),
        tag=TAG,
        body=ModelIn,
        answers={
            201: ModelOut,
            409: refused(_("The model is there already.")),
            422: refused(_("The provider refused the model.")),
        },
        description=_(
            "For hosting providers, or one more model of any other. `base_url` may be among "
            "`values` where the provider says so."
        ),
    )
    def post(self, request: Request, provider: str) -> Response:
        known_provider(self, provider)
        given = self.body(ModelIn)
        adding.add_model(tenant=self.tenant, actor=self.actor, provider=provider, **given)
        entry = queries.entry(tenant_id=self.tenant.pk, provider=provider, model=given["model"])
        assert entry is not None, "it was just added"
        return Response(self.shown(entry), status=201)


class RefreshView(ApiView):
    required_actions = {"POST": Action.MANAGE_MODELS}

    @operation(
        "providers_refresh",
        _("Import the provider's models again"),
        tag=TAG,
        answers={200: RefreshOut, 409: refused(_("The provider has no credential yet."))},
        description=_(
            "Where the list cannot be fetched the older one stays, and `error` says why."
        ),
    )
    def post(self, request: Request, provider: str) -> Response:
        self.body(NoBody)
        known_provider(self, provider)
        setup.refresh(tenant=self.tenant, actor=self.actor, provider=provider)
        status = known_provider(self, provider)
        shown = {
            "provider": provider,
            "models": status.models,
            "fetched": status.models_fetched,
            "error": status.list_failure,
        }
        return Response(RefreshOut(shown).data)


def known_provider(view: ApiView, slug: str) -> provider_queries.ProviderStatus:
    status = provider_queries.status(tenant_id=view.tenant.pk, provider=slug)
    if status is None:
        raise NotFound(
            "unknown_provider", _("There is no provider “%(slug)s” here.") % {"slug": slug[:60]}
        )
    return status


class DefaultsView(ApiView):
    required_actions = {"GET": Action.VIEW_DEFAULTS}

    @operation(
        "default_models_list",
        _("List the default models"),
        tag=DEFAULTS,
        query=PageQuery,
        answers={200: listed(DefaultOut, "DefaultModelList")},
        description=_("Every scenario; `model` is null where none is chosen."),
    )
    def get(self, request: Request) -> Response:
        found = list(queries.defaults(tenant_id=self.tenant.pk).values())
        rows, following = page(
            found, key=lambda choice: f"{SLUGS.index(choice.scenario.slug):02d}", **self.paging
        )
        return listing(DefaultOut, rows, following)


class DefaultView(ApiView):
    required_actions = {
        "GET": Action.VIEW_DEFAULTS,
        "PUT": Action.MANAGE_DEFAULTS,
        "DELETE": Action.MANAGE_DEFAULTS,
    }

    def choice(self, scenario: str) -> DefaultChoice:
        """The choice of a scenario's slug; aliases are for callers of /v1 only."""
        if scenario not in SLUGS:
            raise NotFound(
                "unknown_scenario",
                _("There is no such scenario. Scenarios are: %(names)s.")
                % {"names": ", ".join(SLUGS)},
            )
        return queries.defaults(tenant_id=self.tenant.pk)[scenario]

    @operation(
        "default_models_get",
        _("Show a scenario's default model"),
        tag=DEFAULTS,
        answers={200: DefaultOut},
    )
    def get(self, request: Request, scenario: str) -> Response:
        return Response(DefaultOut(self.choice(scenario)).data)

    @operation(
        "default_models_set",
        _("Set a scenario's default model"),
        tag=DEFAULTS,
        body=DefaultIn,
        answers={200: DefaultOut},
    )
    def put(self, request: Request, scenario: str) -> Response:
        self.choice(scenario)
        defaults.set_default(
            tenant=self.tenant, actor=self.actor, scenario=scenario, **self.body(DefaultIn)
        )
        return Response(DefaultOut(self.choice(scenario)).data)

    @operation(
        "default_models_clear",
        _("Clear a scenario's default model"),
        tag=DEFAULTS,
        description=_(
            "Calls that name no model answer 424 from then on. Clearing what is clear is no error."
        ),
    )
    def delete(self, request: Request, scenario: str) -> Response:
        self.choice(scenario)
        defaults.clear_default(tenant=self.tenant, actor=self.actor, scenario=scenario)
        return Response(status=204)

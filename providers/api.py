"""REST: providers with their forms as data, credentials, and the order of sources."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
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
)
from core.errors import NotFound
from providers import queries
from providers.credentials import services
from providers.declaration.spec import Field, Kind, ModelType
from providers.failures.detail import FailureDetail
from providers.models import NAME_LENGTH, CredentialState, ProviderCredential
from providers.queries import ProviderStatus, State
from tenants.api.base import ApiView
from tenants.auth.permissions import Action

TAG, CREDENTIALS = gettext_noop("Providers"), gettext_noop("Credentials")
CREDENTIAL, TRIAL = "credential", "trial"


# Answers


class ChoiceOut(serializers.Serializer[Any]):
    value = serializers.CharField()
    label: ShadowingField = serializers.CharField()


class FieldOut(serializers.Serializer[Field]):
    name = serializers.CharField(help_text=_("The key in `values`."))
    label: ShadowingField = serializers.CharField()
    secret = serializers.BooleanField(help_text=_("Goes in and never comes out."))
    required: ShadowingField = serializers.BooleanField()
    help_text: ShadowingField = serializers.CharField()
    help_url = serializers.CharField(help_text=_("Where the value is got."))
    placeholder = serializers.CharField()
    advanced = serializers.BooleanField()
    group = serializers.CharField(
        required=False,
        help_text=_("Heading of an alternative: of the groups of a provider one is filled in."),
    )
    choices = ChoiceOut(many=True, required=False, help_text=_("The only values there are."))

    def to_representation(self, instance: Field) -> dict[str, Any]:
        choices = [{"value": value, "label": str(label)} for value, label in instance.choices]
        names = (
            "name",
            "label",
            "secret",
            "required",
            "help_text",
            "help_url",
            "placeholder",
            "advanced",
        )
        shown = {name: getattr(instance, name) for name in names}
        plain = {
            name: value if isinstance(value, bool) else str(value) for name, value in shown.items()
        }
        grouped = {"group": str(instance.group)} if instance.group else {}
        return plain | grouped | ({"choices": choices} if choices else {})


class FailureWords(serializers.CharField):
    """A FailureDetail in the reader's language."""

    def to_representation(self, value: Any) -> str:
        failure: FailureDetail = value
        return failure.in_words(gettext)


class ActiveCredentialOut(serializers.Serializer[ProviderCredential]):
    id = serializers.UUIDField(source="pk")
    name = serializers.CharField()
    masked = serializers.CharField(source="mask")


class TrialFactsOut(serializers.Serializer[Any]):
    plan = serializers.CharField()
    limit = serializers.IntegerField()
    settled = serializers.IntegerField(help_text=_("Used credits."))
    held = serializers.IntegerField(help_text=_("Credits of calls that are under way."))
    left = serializers.IntegerField()
    is_on = serializers.BooleanField()


class ProviderOut(serializers.Serializer[ProviderStatus]):
    slug = serializers.CharField()
    label: ShadowingField = serializers.CharField(source="provider.label", default="")
    kind = serializers.ChoiceField(
        [kind.value for kind in Kind],
        source="provider.kind",
        default=Kind.HOSTING.value,
        help_text=_(
            "own: all models are imported at once. hosting: each model is added with its fields."
        ),
    )
    model_types = serializers.ListField(
        child=serializers.ChoiceField([one.value for one in ModelType]),
        source="provider.model_types",
        default=[],
    )
    description = serializers.CharField(source="provider.description", default="")
    key_url = serializers.CharField(
        source="provider.key_url", default="", help_text=_("Where a key is got.")
    )
    docs_url = serializers.CharField(source="provider.docs_url", default="")
    credential_fields = FieldOut(many=True, source="provider.credential_fields", default=())
    model_fields = FieldOut(many=True, source="provider.model_fields", default=())
    check_is_billed = serializers.BooleanField(
        source="provider.check_is_billed",
        default=False,
        help_text=_("Checking a credential costs a call of one token."),
    )
    allow_unchecked = serializers.BooleanField(
        source="provider.allow_unchecked",
        default=False,
        help_text=_('Whether `"check": false` is allowed.'),
    )
    state = serializers.ChoiceField([state.value for state in State])
    since = serializers.DateTimeField(allow_null=True)
    message = FailureWords(
        source="failure", help_text=_("The provider's last words where something is wrong.")
    )
    credentials = serializers.IntegerField(help_text=_("How many are stored."))
    active_credential = ActiveCredentialOut(source="active", allow_null=True)
    models = serializers.IntegerField(help_text=_("How many models the catalog knows."))
    models_fetched = serializers.DateTimeField(allow_null=True)
    models_error = FailureWords(
        source="list_failure",
        help_text=_("Why the list of models could not be fetched the last time."),
    )
    trial = TrialFactsOut(allow_null=True)
    order = serializers.SerializerMethodField(
        help_text=_("Which source serves a call first where both exist.")
    )

    def get_order(self, status: ProviderStatus) -> list[str]:
        return source_order(status.trial_first)


class CredentialOut(serializers.Serializer[ProviderCredential]):
    id = serializers.UUIDField(source="pk")
    provider = serializers.CharField()
    name = serializers.CharField()
    masked = serializers.CharField(
        source="mask", help_text=_("All that is ever shown of the secret fields.")
    )
    values = serializers.DictField(
        child=serializers.CharField(), help_text=_("The fields that are not secret.")
    )
    base_url = serializers.CharField(help_text=_("Empty for the provider's own address."))
    is_active = serializers.BooleanField(help_text=_("Calls use it first; the others stand by."))
    position = serializers.IntegerField(help_text=_("Place among those that stand by."))
    state = serializers.ChoiceField(CredentialState.values)
    since = serializers.DateTimeField(source="state_since")
    message = FailureWords(
        source="failure", help_text=_("The provider's last words where something is wrong.")
    )
    resting_until = serializers.DateTimeField(allow_null=True)
    checked = serializers.DateTimeField(allow_null=True)
    last_used = serializers.DateTimeField(allow_null=True)
    created = serializers.DateTimeField()


class OrderOut(serializers.Serializer[Any]):
    order = serializers.ListField(child=serializers.ChoiceField([CREDENTIAL, TRIAL]))


class CredentialOrderOut(serializers.Serializer[Any]):
    order = serializers.ListField(child=serializers.UUIDField())


# Input


class CredentialIn(StrictSerializer):
    name = Text(
        max_length=NAME_LENGTH,
        default="Default",
        help_text=_("Unique among the provider's credentials."),
    )
    values = serializers.DictField(
        child=Text(allow_blank=True, max_length=4000, trim_whitespace=False),
        help_text=_(
            "By field name; the provider's `credential_fields` says which there are. `base_url` "
            "is among them."
        ),
    )
    check = Flag(
        default=True,
        help_text=_("false stores without asking the provider, where `allow_unchecked` says so."),
    )


class CredentialChange(StrictSerializer):
    name = Text(max_length=NAME_LENGTH, required=False)
    values = serializers.DictField(
        child=Text(allow_blank=True, max_length=4000, trim_whitespace=False),
        required=False,
        help_text=_(
            "Fields to change. A secret that is left out stays, unless `base_url` changes: then "
            "it must be sent again."
        ),
    )
    check = Flag(default=True)


class OrderIn(StrictSerializer):
    order = serializers.ListField(
        child=serializers.ChoiceField([CREDENTIAL, TRIAL]), min_length=2, max_length=2
    )

    def validate_order(self, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise serializers.ValidationError(
                _("Name both sources once: the first one is used first.")
            )
        return value


class CredentialOrderIn(StrictSerializer):
    order = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=200)


def source_order(trial_first: bool) -> list[str]:
    return [TRIAL, CREDENTIAL] if trial_first else [CREDENTIAL, TRIAL]


# Views


class ProviderApiView(ApiView):
    """Views below one provider: an unknown one is a 404."""

    def provider_status(self, provider: str) -> ProviderStatus:
        status = queries.status(tenant_id=self.tenant.pk, provider=provider)
        if status is None:
            raise NotFound(
                "unknown_provider",
                _("There is no provider “%(slug)s” here.") % {"slug": provider[:60]},
            )
        return status

    def credential(self, provider: str, pk: UUID) -> ProviderCredential:
        row = queries.credential(tenant_id=self.tenant.pk, provider=provider, pk=pk)
        if row is None:
            raise NotFound(
                "no_such_credential", _("There is no such credential in this workspace.")
            )
        return row


class ProvidersView(ApiView):
    required_actions = {"GET": Action.VIEW_PROVIDERS}

    @operation(
        "providers_list",
        _("List the providers"),
        tag=TAG,
        query=PageQuery,
        answers={200: listed(ProviderOut, "ProviderList")},
        description=_(
            "Every provider of this installation with its forms as data and its state in this "
            "workspace."
        ),
    )
    def get(self, request: Request) -> Response:
        found = list(queries.statuses(tenant_id=self.tenant.pk).values())
        places = {status.slug: number for number, status in enumerate(found)}
        rows, following = page(
            found, key=lambda status: f"{places[status.slug]:04d}-{status.slug}", **self.paging
        )
        return listing(ProviderOut, rows, following)


class ProviderView(ProviderApiView):
    required_actions = {"GET": Action.VIEW_PROVIDERS}

    @operation("providers_get", _("Show a provider"), tag=TAG, answers={200: ProviderOut})
    def get(self, request: Request, provider: str) -> Response:
        return Response(ProviderOut(self.provider_status(provider)).data)


class SourceOrderView(ProviderApiView):
    required_actions = {"GET": Action.VIEW_PROVIDERS, "PUT": Action.MANAGE_PROVIDERS}

    @operation(
        "providers_get_source_order",
        _("Show which source serves first"),
        tag=TAG,
        answers={200: OrderOut},
    )
    def get(self, request: Request, provider: str) -> Response:
        return Response({"order": source_order(self.provider_status(provider).trial_first)})

    @operation(
        "providers_set_source_order",
        _("Choose which source serves first"),
        tag=TAG,
        body=OrderIn,
        answers={200: OrderOut},
        description=_(
            "The own credential or the trial, where both exist. Every call says which one served "
            "it."
        ),
    )
    def put(self, request: Request, provider: str) -> Response:
        self.provider_status(provider)
        order = self.body(OrderIn)["order"]
        services.set_source_order(
            tenant=self.tenant, actor=self.actor, provider=provider, trial_first=order[0] == TRIAL
        )
        return Response({"order": order})


class CredentialsView(ProviderApiView):
    required_actions = {"GET": Action.VIEW_PROVIDERS, "POST": Action.MANAGE_PROVIDERS}

    @operation(
        "credentials_list",
        _("List a provider's credentials"),
        tag=CREDENTIALS,
        query=PageQuery,
        answers={200: listed(CredentialOut, "CredentialList")},
        description=_("The active one first, then those that stand by, in order."),
    )
    def get(self, request: Request, provider: str) -> Response:
        self.provider_status(provider)
        found = list(queries.credentials(tenant_id=self.tenant.pk, provider=provider))
        places = {row.pk: number for number, row in enumerate(found)}
        rows, following = page(found, key=lambda row: f"{places[row.pk]:06d}", **self.paging)
        return listing(CredentialOut, rows, following)

    @operation(
        "credentials_create",
        _("Check and store a credential"),
        tag=CREDENTIALS,
        body=CredentialIn,
        answers={
            201: CredentialOut,
            409: refused(_("The name is taken, or somebody else changed the row meanwhile.")),
            422: refused(_("The provider refused it.")),
        },
        description=(
            _(
                "The first one becomes active. The provider is asked before anything is stored; "
                "what it refuses answers 422 with the "
                "reason as `code` (provider_auth_failed, provider_wrong_url, "
                "provider_unreachable, provider_timeout, "
                "provider_permission_denied, provider_rate_limited, provider_error) and "
                "`what_we_sent`. An account without money is "
                "stored with the state `no_funds`."
            )
        ),
    )
    def post(self, request: Request, provider: str) -> Response:
        self.provider_status(provider)
        row = services.add_credential(
            tenant=self.tenant, actor=self.actor, provider=provider, **self.body(CredentialIn)
        )
        return Response(CredentialOut(row).data, status=201)


class CredentialView(ProviderApiView):
    required_actions = {
        "GET": Action.VIEW_PROVIDERS,
        "PATCH": Action.MANAGE_PROVIDERS,
        "DELETE": Action.MANAGE_PROVIDERS,
    }

    @operation(
        "credentials_get", _("Show a credential"), tag=CREDENTIALS, answers={200: CredentialOut}
    )
    def get(self, request: Request, provider: str, pk: UUID) -> Response:
        return Response(CredentialOut(self.credential(provider, pk)).data)

    @operation(
        "credentials_change",
        _("Rename a credential or replace its fields"),
        tag=CREDENTIALS,
        body=CredentialChange,
        answers={
            200: CredentialOut,
            409: refused(_("The name is taken, or somebody else changed the row meanwhile.")),
            422: refused(_("The provider refused it.")),
        },
        description=_(
            "New values are checked as a whole before anything is stored; `check` counts only "
            "together with `values`."
        ),
    )
    def patch(self, request: Request, provider: str, pk: UUID) -> Response:
        row, given = self.credential(provider, pk), self.body(CredentialChange)
        common: dict[str, Any] = {"tenant": self.tenant, "actor": self.actor, "credential": row}
        if "values" in given:
            row = services.replace_credential(
                **common, values=given["values"], name=given.get("name"), check=given["check"]
            )
        elif given.get("name", row.name) != row.name:
            row = services.rename_credential(**common, name=given["name"])
        return Response(CredentialOut(row).data)

    @operation(
        "credentials_delete",
        _("Delete a credential"),
        tag=CREDENTIALS,
        description=_(
            "A standby one takes over where there is one. Works for credentials that cannot be "
            "read any more, too."
        ),
    )
    def delete(self, request: Request, provider: str, pk: UUID) -> Response:
        services.delete_credential(
            tenant=self.tenant, actor=self.actor, credential=self.credential(provider, pk)
        )
        return Response(status=204)


class CredentialCheckView(ProviderApiView):
    required_actions = {"POST": Action.MANAGE_PROVIDERS}

    @operation(
        "credentials_check",
        _("Check a stored credential again"),
        tag=CREDENTIALS,
        body=None,
        answers={200: CredentialOut},
        description=_(
            "Answers 200 whatever the provider says: `state` and `message` are the result."
        ),
    )
    def post(self, request: Request, provider: str, pk: UUID) -> Response:
        self.body(NoBody)
        row = services.check_credential(
            tenant=self.tenant, actor=self.actor, credential=self.credential(provider, pk)
        )
        return Response(CredentialOut(row).data)


class CredentialActivateView(ProviderApiView):
    required_actions = {"POST": Action.MANAGE_PROVIDERS}

    @operation(
        "credentials_activate",
        _("Make a credential the active one"),
        tag=CREDENTIALS,
        answers={200: CredentialOut},
    )
    def post(self, request: Request, provider: str, pk: UUID) -> Response:
        self.body(NoBody)
        row = services.activate_credential(
            tenant=self.tenant, actor=self.actor, credential=self.credential(provider, pk)
        )
        return Response(CredentialOut(row).data)


class CredentialOrderView(ProviderApiView):
    required_actions = {"PUT": Action.MANAGE_PROVIDERS}

    @operation(
        "credentials_set_order",
        _("Set the order of a provider's credentials"),
        tag=CREDENTIALS,
        body=CredentialOrderIn,
        answers={200: CredentialOrderOut},
        description=_(
            "The first one becomes active. Every credential of the provider must be named once."
        ),
    )
    def put(self, request: Request, provider: str) -> Response:
        self.provider_status(provider)
        order = self.body(CredentialOrderIn)["order"]
        services.order_credentials(
            tenant=self.tenant, actor=self.actor, provider=provider, ids=order
        )
        return Response({"order": order})

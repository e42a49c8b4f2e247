"""Request and response bodies of the providers API."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from core.api.serializers import (
    Flag,
    ShadowingField,
    StrictSerializer,
    Text,
)
from providers.declaration.spec import Field, Kind, ModelType
from providers.failures.detail import FailureDetail
from providers.models import NAME_LENGTH, CredentialState, ProviderCredential
from providers.queries import ProviderStatus, State

CREDENTIAL, TRIAL = "credential", "trial"
_FIELD_TEXTS = ("name", "label", "help_text", "help_url", "placeholder")
_FIELD_FLAGS = ("secret", "required", "advanced")


# Responses


class ChoiceOut(serializers.Serializer[Any]):
    value = serializers.CharField()
    label: ShadowingField = serializers.CharField()


class FieldOut(serializers.Serializer[Field]):
    name = serializers.CharField(help_text=_("The key in `values`."))
    label: ShadowingField = serializers.CharField()
    secret = serializers.BooleanField(help_text=_("Write-only: never returned."))
    required: ShadowingField = serializers.BooleanField()
    help_text: ShadowingField = serializers.CharField()
    help_url = serializers.CharField(help_text=_("Where to get the value."))
    placeholder = serializers.CharField()
    advanced = serializers.BooleanField()
    group = serializers.CharField(
        required=False,
        help_text=_(
            "Heading of an alternative. Fill in exactly one of the provider's field groups."
        ),
    )
    choices = ChoiceOut(many=True, required=False, help_text=_("The allowed values."))

    def to_representation(self, instance: Field) -> dict[str, Any]:
        texts = {name: str(getattr(instance, name)) for name in _FIELD_TEXTS}
        flags = {name: getattr(instance, name) for name in _FIELD_FLAGS}
        group = {"group": str(instance.group)} if instance.group else {}
        choices = [{"value": value, "label": str(label)} for value, label in instance.choices]
        return texts | flags | group | ({"choices": choices} if choices else {})


class FailureText(serializers.CharField):
    """A FailureDetail as text in the reader's language."""

    def to_representation(self, value: Any) -> str:
        failure: FailureDetail = value
        return failure.describe(gettext)


class ActiveCredentialOut(serializers.Serializer[ProviderCredential]):
    id = serializers.UUIDField(source="pk")
    name = serializers.CharField()
    masked = serializers.CharField(source="mask")


class TrialFactsOut(serializers.Serializer[Any]):
    plan = serializers.CharField()
    limit = serializers.IntegerField()
    settled = serializers.IntegerField(help_text=_("Used credits."))
    held = serializers.IntegerField(help_text=_("Credits reserved for calls in progress."))
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
        child=serializers.ChoiceField([model_type.value for model_type in ModelType]),
        source="provider.model_types",
        default=[],
    )
    description = serializers.CharField(source="provider.description", default="")
    key_url = serializers.CharField(
        source="provider.key_url", default="", help_text=_("Where to get a key.")
    )
    docs_url = serializers.CharField(source="provider.docs_url", default="")
    credential_fields = FieldOut(many=True, source="provider.credential_fields", default=())
    model_fields = FieldOut(many=True, source="provider.model_fields", default=())
    check_is_billed = serializers.BooleanField(
        source="provider.check_is_billed",
        default=False,
        help_text=_("Checking a credential costs a one-token call."),
    )
    allow_unchecked = serializers.BooleanField(
        source="provider.allow_unchecked",
        default=False,
        help_text=_('Whether `"check": false` is allowed.'),
    )
    state = serializers.ChoiceField([state.value for state in State])
    since = serializers.DateTimeField(allow_null=True)
    message = FailureText(
        source="failure", help_text=_("The provider's last error message, or empty.")
    )
    credentials = serializers.IntegerField(help_text=_("Number of stored credentials."))
    active_credential = ActiveCredentialOut(source="active", allow_null=True)
    models = serializers.IntegerField(help_text=_("Number of models in the catalog."))
    models_fetched = serializers.DateTimeField(allow_null=True)
    models_error = FailureText(
        source="list_failure",
        help_text=_("Why the last fetch of the model list failed."),
    )
    trial = TrialFactsOut(allow_null=True)
    order = serializers.SerializerMethodField(
        help_text=_("The sources in the order in which calls use them.")
    )

    def get_order(self, status: ProviderStatus) -> list[str]:
        return source_order(status.trial_first)


class CredentialOut(serializers.Serializer[ProviderCredential]):
    id = serializers.UUIDField(source="pk")
    provider = serializers.CharField()
    name = serializers.CharField()
    masked = serializers.CharField(
        source="mask", help_text=_("The only part of the secret fields that is ever shown.")
    )
    values = serializers.DictField(
        child=serializers.CharField(), help_text=_("The non-secret fields.")
    )
    base_url = serializers.CharField(help_text=_("Empty for the provider's own address."))
    is_active = serializers.BooleanField(
        help_text=_("Calls use this credential first; the others are on standby.")
    )
    position = serializers.IntegerField(help_text=_("Position among the standby credentials."))
    state = serializers.ChoiceField(CredentialState.values)
    since = serializers.DateTimeField(source="state_since")
    message = FailureText(
        source="failure", help_text=_("The provider's last error message, or empty.")
    )
    resting_until = serializers.DateTimeField(allow_null=True)
    checked = serializers.DateTimeField(allow_null=True)
    last_used = serializers.DateTimeField(allow_null=True)
    created = serializers.DateTimeField()


class OrderOut(serializers.Serializer[Any]):
    order = serializers.ListField(child=serializers.ChoiceField([CREDENTIAL, TRIAL]))


class CredentialOrderOut(serializers.Serializer[Any]):
    order = serializers.ListField(child=serializers.UUIDField())


# Requests


class CredentialIn(StrictSerializer):
    name = Text(
        max_length=NAME_LENGTH,
        default="Default",
        help_text=_("Unique among the provider's credentials."),
    )
    values = serializers.DictField(
        child=Text(allow_blank=True, max_length=4000, trim_whitespace=False),
        help_text=_(
            "Values by field name, as listed in the provider's `credential_fields`, "
            "including `base_url`."
        ),
    )
    check = Flag(
        default=True,
        help_text=_(
            "false stores the credential without checking it, if the provider's "
            "`allow_unchecked` is true."
        ),
    )


class CredentialChange(StrictSerializer):
    name = Text(max_length=NAME_LENGTH, required=False)
    values = serializers.DictField(
        child=Text(allow_blank=True, max_length=4000, trim_whitespace=False),
        required=False,
        help_text=_(
            "Fields to change. Omitted secrets are kept, unless `base_url` changes: then "
            "send them again."
        ),
    )
    check = Flag(default=True)


class OrderIn(StrictSerializer):
    order = serializers.ListField(
        child=serializers.ChoiceField([CREDENTIAL, TRIAL]), min_length=2, max_length=2
    )

    def validate_order(self, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise serializers.ValidationError(_("List both sources, once each."))
        return value


class CredentialOrderIn(StrictSerializer):
    order = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=200)


def source_order(trial_first: bool) -> list[str]:
    return [TRIAL, CREDENTIAL] if trial_first else [CREDENTIAL, TRIAL]

"""REST: a provider's credentials."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import listed, listing, page
from core.api.schema import operation, refused
from core.api.serializers import NoBody, PageQuery
from providers import queries
from providers.api.base import ProviderApiView
from providers.api.serializers import (
    CredentialChange,
    CredentialIn,
    CredentialOrderIn,
    CredentialOrderOut,
    CredentialOut,
)
from providers.credentials import services
from tenants.auth.permissions import Action

TAG = gettext_noop("Credentials")


class CredentialsView(ProviderApiView):
    required_actions = {"GET": Action.VIEW_PROVIDERS, "POST": Action.MANAGE_PROVIDERS}

    @operation(
        "credentials_list",
        _("List a provider's credentials"),
        tag=TAG,
        query=PageQuery,
        answers={200: listed(CredentialOut, "CredentialList")},
        description=_("The active credential first, then the standby credentials in order."),
    )
    def get(self, request: Request, provider: str) -> Response:
        self.provider_status(provider)
        credentials = list(queries.credentials(tenant_id=self.tenant.pk, provider=provider))
        positions = {row.pk: position for position, row in enumerate(credentials)}
        rows, cursor = page(credentials, key=lambda row: f"{positions[row.pk]:06d}", **self.paging)
        return listing(CredentialOut, rows, cursor)

    @operation(
        "credentials_create",
        _("Check and store a credential"),
        tag=TAG,
        body=CredentialIn,
        answers={
            201: CredentialOut,
            409: refused(
                _("The name is taken, or someone else changed the credential in the meantime.")
            ),
            422: refused(_("The provider rejected it.")),
        },
        description=(
            _(
                "The first credential becomes active. The provider is asked before "
                "anything is stored. If it rejects the credential, the response is 422 "
                "with the reason as `code` (provider_auth_failed, provider_wrong_url, "
                "provider_unreachable, provider_timeout, provider_permission_denied, "
                "provider_rate_limited, provider_error) and `what_we_sent`. An account "
                "without funds is stored with the state `no_funds`."
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
        "credentials_get",
        _("Show a credential"),
        tag=TAG,
        description=_("Its state and when that was last checked. Secret values are masked."),
        answers={200: CredentialOut},
    )
    def get(self, request: Request, provider: str, pk: UUID) -> Response:
        return Response(CredentialOut(self.credential(provider, pk)).data)

    @operation(
        "credentials_change",
        _("Rename a credential or replace its fields"),
        tag=TAG,
        body=CredentialChange,
        answers={
            200: CredentialOut,
            409: refused(
                _("The name is taken, or someone else changed the credential in the meantime.")
            ),
            422: refused(_("The provider rejected it.")),
        },
        description=_(
            "New values are checked together before anything is stored. `check` has no "
            "effect without `values`."
        ),
    )
    def patch(self, request: Request, provider: str, pk: UUID) -> Response:
        row, changes = self.credential(provider, pk), self.body(CredentialChange)
        common: dict[str, Any] = {"tenant": self.tenant, "actor": self.actor, "credential": row}
        if "values" in changes:
            row = services.replace_credential(
                **common, values=changes["values"], name=changes.get("name"), check=changes["check"]
            )
        elif changes.get("name", row.name) != row.name:
            row = services.rename_credential(**common, name=changes["name"])
        return Response(CredentialOut(row).data)

    @operation(
        "credentials_delete",
        _("Delete a credential"),
        tag=TAG,
        description=_(
            "A standby credential takes over, if there is one. Also works for "
            "credentials that can no longer be read. Its files and batches stay at the provider, "
            "but are no longer known here."
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
        tag=TAG,
        body=None,
        answers={200: CredentialOut},
        description=_(
            "Returns 200 whatever the provider replies: `state` and `message` are the result."
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
        _("Activate a credential"),
        tag=TAG,
        description=_(
            "Calls use this credential from now on; the previous one becomes the first standby."
        ),
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
        tag=TAG,
        body=CredentialOrderIn,
        answers={200: CredentialOrderOut},
        description=_(
            "The first credential becomes active. Name every credential of the provider "
            "exactly once."
        ),
    )
    def put(self, request: Request, provider: str) -> Response:
        self.provider_status(provider)
        order = self.body(CredentialOrderIn)["order"]
        services.order_credentials(
            tenant=self.tenant, actor=self.actor, provider=provider, ids=order
        )
        return Response({"order": order})

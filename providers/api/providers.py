"""REST: providers with their form fields, and the order of sources."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import listed, listing, page
from core.api.schema import operation
from core.api.serializers import PageQuery
from providers import queries
from providers.api.base import ProviderApiView
from providers.api.serializers import TRIAL, OrderIn, OrderOut, ProviderOut, source_order
from providers.credentials import services
from tenants.api.base import ApiView
from tenants.auth.permissions import Action

TAG = gettext_noop("Providers")


class ProvidersView(ApiView):
    required_actions = {"GET": Action.VIEW_PROVIDERS}
    applies_limits = frozenset({"get", "head"})

    @operation(
        "providers_list",
        _("List the providers"),
        tag=TAG,
        query=PageQuery,
        answers={200: listed(ProviderOut, "ProviderList")},
        description=_(
            "Every provider of this installation, with its form fields and its state in "
            "this workspace."
        ),
    )
    def get(self, request: Request) -> Response:
        statuses = [
            status
            for status in queries.statuses(tenant_id=self.tenant.pk).values()
            if self.principal.may_see_provider(status.slug)
        ]
        positions = {status.slug: position for position, status in enumerate(statuses)}
        rows, cursor = page(
            statuses,
            key=lambda status: f"{positions[status.slug]:04d}-{status.slug}",
            **self.paging,
        )
        return listing(ProviderOut, rows, cursor)


class ProviderView(ProviderApiView):
    required_actions = {"GET": Action.VIEW_PROVIDERS}

    @operation(
        "providers_get",
        _("Show a provider"),
        tag=TAG,
        description=_("Its form fields as data, and its state in this workspace."),
        answers={200: ProviderOut},
    )
    def get(self, request: Request, provider: str) -> Response:
        return Response(ProviderOut(self.provider_status(provider)).data)


class SourceOrderView(ProviderApiView):
    required_actions = {"GET": Action.VIEW_PROVIDERS, "PUT": Action.MANAGE_PROVIDERS}

    @operation(
        "providers_get_source_order",
        _("Show which source is used first"),
        tag=TAG,
        description=_("Your own credential or the trial, when both are available."),
        answers={200: OrderOut},
    )
    def get(self, request: Request, provider: str) -> Response:
        return Response({"order": source_order(self.provider_status(provider).trial_first)})

    @operation(
        "providers_set_source_order",
        _("Choose which source is used first"),
        tag=TAG,
        body=OrderIn,
        answers={200: OrderOut},
        description=_(
            "Your own credential or the trial, when both are available. Every call "
            "record names the source that served it."
        ),
    )
    def put(self, request: Request, provider: str) -> Response:
        self.provider_status(provider)
        order = self.body(OrderIn)["order"]
        services.set_source_order(
            tenant=self.tenant, actor=self.actor, provider=provider, trial_first=order[0] == TRIAL
        )
        return Response({"order": order})

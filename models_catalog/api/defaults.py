"""REST: the default model of each scenario."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import listed, listing, page
from core.api.schema import operation
from core.api.serializers import PageQuery
from core.errors import NotFound
from models_catalog import queries
from models_catalog.api.serializers import SLUGS, DefaultIn, DefaultOut
from models_catalog.queries import DefaultChoice
from models_catalog.services import defaults
from tenants.api.base import ApiView
from tenants.auth.permissions import Action

TAG = gettext_noop("Default models")


class DefaultsView(ApiView):
    required_actions = {"GET": Action.VIEW_DEFAULTS}

    @operation(
        "default_models_list",
        _("List the default models"),
        tag=TAG,
        query=PageQuery,
        answers={200: listed(DefaultOut, "DefaultModelList")},
        description=_("Every scenario; `model` is `null` if none is chosen."),
    )
    def get(self, request: Request) -> Response:
        choices = list(queries.defaults(tenant_id=self.tenant.pk).values())
        rows, following = page(
            choices, key=lambda choice: f"{SLUGS.index(choice.scenario.slug):02d}", **self.paging
        )
        return listing(DefaultOut, rows, following)


class DefaultView(ApiView):
    required_actions = {
        "GET": Action.VIEW_DEFAULTS,
        "PUT": Action.MANAGE_DEFAULTS,
        "DELETE": Action.MANAGE_DEFAULTS,
    }

    def choice(self, scenario: str) -> DefaultChoice:
        """Return the default model of a scenario slug; only /v1 accepts aliases."""
        if scenario not in SLUGS:
            raise NotFound(
                "unknown_scenario",
                _("Unknown scenario. Choose one of: %(names)s.") % {"names": ", ".join(SLUGS)},
            )
        return queries.defaults(tenant_id=self.tenant.pk)[scenario]

    @operation(
        "default_models_get",
        _("Show a scenario's default model"),
        tag=TAG,
        description=_(
            "The model for calls that name this scenario or no model, and its fallbacks."
        ),
        answers={200: DefaultOut},
    )
    def get(self, request: Request, scenario: str) -> Response:
        return Response(DefaultOut(self.choice(scenario)).data)

    @operation(
        "default_models_set",
        _("Set a scenario's default model"),
        tag=TAG,
        description=_(
            "The fallbacks are replaced too. Setting the same model again is not an error."
        ),
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
        tag=TAG,
        description=_(
            "Calls that don't name a model then return 424. Clearing again is not an error."
        ),
    )
    def delete(self, request: Request, scenario: str) -> Response:
        self.choice(scenario)
        defaults.clear_default(tenant=self.tenant, actor=self.actor, scenario=scenario)
        return Response(status=204)

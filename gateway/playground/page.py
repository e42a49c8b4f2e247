"""What the playground's pages share: models by type, tabs and code samples."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from django.forms import Form
from django.http import HttpResponse, QueryDict
from django.shortcuts import render

from core.request_cache import reading_once
from core.web.forms import endpoint, focus_first_error
from gateway.clients.snippets import Sample
from gateway.playground import code_samples, tabs
from gateway.playground.choices import Offer, editing, offers
from gateway.playground.script_texts import texts
from gateway.playground.tabs import TABS, Tab
from providers.declaration.spec import ModelType, Operation
from tenants.auth.request import WorkspaceRequest


class PlaygroundPage:
    """One request for a page.

    Attributes:
        editing: The models that change images, on the page of images.
    """

    editing: Offer

    def __init__(self, request: WorkspaceRequest, tab: Tab) -> None:
        self.request, self.tab = request, tab
        data = request.POST if request.method == "POST" else request.GET
        requested = {tab.type: data.get("model", "")}
        if tab is tabs.SPEECH:
            requested = {
                ModelType.SPEECH_TO_TEXT: data.get("model", ""),
                ModelType.TEXT_TO_SPEECH: data.get("voice_model", ""),
            }
            if request.POST.get("action") == "speak":
                requested = {
                    ModelType.SPEECH_TO_TEXT: "",
                    ModelType.TEXT_TO_SPEECH: data.get("model", ""),
                }
        with reading_once():
            self.offers = offers(tenant=request.tenant, requested=requested)
            if tab is tabs.IMAGES:
                self._offer_edits(data)

    def _offer_edits(self, data: QueryDict) -> None:
        """Offer models that edit; one that is asked for by name may do only that."""
        requested = data.get("edit_model") or data.get("model", "")
        self.editing = editing(tenant=self.request.tenant, requested=requested)
        if not data.get("edit_model"):
            self.editing = replace(self.editing, lost="")
        if self.editing.find(self.offer.lost):
            self.offers[ModelType.IMAGE] = replace(self.offer, lost="")

    @property
    def offer(self) -> Offer:
        return self.offers[self.tab.type]

    def code(self, operation: Operation, offer: Offer) -> list[Sample]:
        return (
            code_samples.samples(operation, base_url=endpoint(self.request), model=offer.model.id)
            if offer.model
            else []
        )

    def show(self, context: dict[str, Any], *forms: Form) -> HttpResponse:
        """Render the page.

        Args:
            forms: The page's forms. If one is invalid, the status is 422 and its first invalid
                field gets the focus.
        """
        invalid = [form for form in forms if form.is_bound and not form.is_valid()]
        for form in invalid:
            focus_first_error(form)
        shared = {
            "tab": self.tab,
            "offer": self.offer,
            "tabs": [
                tab
                for tab in TABS.values()
                if tab is self.tab or not tab.optional or self.offers[tab.type].entries
            ],
            "texts": json.dumps(texts(), ensure_ascii=False),
        }
        response = render(
            self.request,
            f"gateway/playground_{self.tab.slug}.html",
            shared | context,
            status=422 if invalid else 200,
        )
        response["Vary"] = "HX-Request"
        return response

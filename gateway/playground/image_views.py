"""The playground's page of images."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from gateway.playground import calls, tabs
from gateway.playground.calls import Question
from gateway.playground.forms import ModelChoice
from gateway.playground.image_forms import EditForm, ImagesForm
from gateway.playground.page import PlaygroundPage
from providers.declaration.spec import Operation
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest


@page(Action.USE_MODELS)
@require_http_methods(["GET", "HEAD", "POST"])
def images(request: WorkspaceRequest) -> HttpResponse:
    shown = PlaygroundPage(request, tabs.IMAGES)
    made, edited = shown.offer, shown.editing
    action = request.POST.get("action", "make") if request.method == "POST" else ""
    make = ImagesForm(*((request.POST,) if action == "make" else ()), offer=made)
    edit = EditForm(
        *((request.POST, request.FILES) if action == "edit" else ()),
        offer=edited,
        auto_id="edit_%s",
    )
    context: dict[str, Any] = {
        "form": make,
        "edit": edit,
        "editing": edited,
        "choice": ModelChoice(made),
        "edit_choice": ModelChoice(edited, name="edit_model", label=_("Editing model")),
        "code": shown.code(Operation.IMAGES, made),
        "edit_code": shown.code(Operation.IMAGE_EDITS, edited),
    }
    if action == "make" and make.is_valid():
        context |= _pictures(request, Question(Operation.IMAGES, make.model_name, make.body))
    elif action == "edit" and edit.is_valid():
        edit.keep_files()
        question = Question(Operation.IMAGE_EDITS, edit.model_name, edit.body, size=edit.size)
        context["edited"] = _pictures(request, question)
    return shown.show(context, make, edit)


def _pictures(request: WorkspaceRequest, question: Question) -> dict[str, Any]:
    (outcome,) = calls.ask(request, [question])
    return {
        "outcome": outcome,
        "pictures": calls.pictures(question.body["prompt"], outcome.body),
    }

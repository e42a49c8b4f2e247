"""The playground's pages.

With JavaScript, the browser calls models through `call`; without, through the pages' own forms.
"""

from __future__ import annotations

import json
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.markdown import LONGEST, answer_html, plain_html
from core.web.forms import endpoint
from core.web.request import scope_of
from gateway.clients import guides as client_guides
from gateway.clients.snippets import Values
from gateway.playground import calls, tabs
from gateway.playground.app import ADMISSION
from gateway.playground.calls import Outcome, Question
from gateway.playground.choices import (
    Offer,
    chat_parameters,
    embedding_parameters,
    labels,
)
from gateway.playground.forms import (
    ChatForm,
    EmbeddingsForm,
    ModelChoice,
    RerankForm,
    SpeechForm,
    TranscriptionForm,
)
from gateway.playground.page import PlaygroundPage
from providers.declaration.spec import ModelType, Operation
from providers.operations.table import OPERATIONS
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest

# Content types served inline; anything else is sent as a download.
_SOUNDS: Final = ("audio/",)


# --------------------------------------------------------------------------------- calls by scripts


@page(Action.USE_MODELS)
def call(request: WorkspaceRequest, operation: str) -> HttpResponse:
    """Authorise a call made by a script; the gateway in front then makes the call itself."""
    if operation not in OPERATIONS:
        raise Http404
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise PermissionDenied(_("This request did not come from a page of this server."))
    admission = scope_of(request).get(ADMISSION)
    if admission is not None:
        admission.principal = request.principal
    elif request.method != "POST":
        return HttpResponse(status=405, headers={"Allow": "POST"})
    return HttpResponse(status=204)


@page(Action.USE_MODELS)
@require_POST
def render_answer(request: WorkspaceRequest) -> HttpResponse:
    """Render a complete answer's Markdown as safe HTML."""
    text = request.POST.get("text", "")
    if len(text) > LONGEST:
        return HttpResponse(status=413)
    return HttpResponse(answer_html(text))


# -------------------------------------------------------------------------------------------- pages


@page(Action.USE_MODELS)
@require_http_methods(["GET", "HEAD", "POST"])
def chat(request: WorkspaceRequest) -> HttpResponse:
    shown = PlaygroundPage(request, tabs.CHAT)
    offer = shown.offer
    parameters = chat_parameters(offer.model) if offer.model else []
    beside = _beside(request, offer)
    context: dict[str, Any] = {
        "choice": ModelChoice(offer, beside=beside),
        "beside": beside,
        "code": shown.code(Operation.CHAT, offer),
        "turns": [],
        "labels": labels(),
    }
    form = ChatForm(offer=offer, parameters=parameters, initial={"beside": beside})
    if request.method == "POST":
        form = _converse(request, offer, parameters, context)
    return shown.show(context | {"form": form}, form)


@page(Action.USE_MODELS)
@require_safe
def clients(request: WorkspaceRequest) -> HttpResponse:
    """Render the guides of all clients, which a page loads once its reader opens them."""
    model = PlaygroundPage(request, tabs.CHAT).offer.model
    if model is None:
        raise Http404
    guides = client_guides.guides(Values(endpoint(request), model.id))
    return render(request, "components/clients.html", {"clients": guides})


def _beside(request: WorkspaceRequest, offer: Offer) -> str:
    name = (request.POST if request.method == "POST" else request.GET).get("beside", "")
    return (
        name
        if offer.find(name) is not None and (offer.model is None or name != offer.model.id)
        else ""
    )


def _converse(
    request: WorkspaceRequest, offer: Offer, parameters: Any, context: dict[str, Any]
) -> ChatForm:
    """Add a turn to the submitted conversation.

    Returns:
        The form for the next turn, or the submitted form if it is invalid.
    """
    action = request.POST.get("action", "send")
    if action in ("draft", "clear"):  # "draft": a text handed over by another page
        draft = request.POST.get("message", "") if action == "draft" else ""
        return ChatForm(
            offer=offer,
            parameters=parameters,
            initial={"message": draft, "beside": context["beside"]},
        )
    form = ChatForm(request.POST, offer=offer, parameters=parameters)
    if not form.is_valid():
        return form
    turns = form.cleaned_data["history"]
    if action == "retry" and turns:
        turns[-1]["answers"] = []
    elif form.cleaned_data["message"].strip():
        turns.append({"user": form.cleaned_data["message"], "answers": []})
    else:
        form.add_error("message", _("Write a message first."))
        context["turns"] = _shown(turns)
        return form
    _answer_turn(request, form, turns)
    context["turns"] = _shown(turns)
    initial = {
        name: value
        for name, value in request.POST.items()
        if name in form.fields and name not in ("message", "history")
    }
    return ChatForm(
        offer=offer,
        parameters=parameters,
        initial=initial | {"history": json.dumps(_history(turns))},
    )


def _answer_turn(request: WorkspaceRequest, form: ChatForm, turns: list[dict[str, Any]]) -> None:
    models = [form.cleaned_data["model"], *filter(None, [form.cleaned_data["beside"]])]
    questions = [
        Question(Operation.CHAT, model, form.body(turns, slot)) for slot, model in enumerate(models)
    ]
    for slot, outcome in enumerate(calls.ask(request, questions)):
        turns[-1]["answers"].append(
            {
                "slot": slot,
                "model": outcome.model,
                "text": outcome.text or outcome.calls,
                "footer": "" if outcome.problem else outcome.footer,
                "outcome": outcome,
            }
        )


def _history(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the history for the browser, without failed answers and unanswered turns."""
    history = []
    for turn in turns:
        answers = [
            {name: answer[name] for name in ("slot", "model", "text", "footer")}
            for answer in turn["answers"]
            if answer["text"]
        ]
        if answers:
            history.append({"user": turn["user"], "answers": answers})
    return history


def _shown(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add HTML to the answers.

    The client controls the conversation's length and every turn renders all of it, so only the
    latest answers are rendered as Markdown.
    """
    budget = LONGEST
    for turn in reversed(turns):
        for answer in turn["answers"]:
            outcome: Outcome | None = answer.get("outcome")
            text = outcome.text if outcome else answer["text"]
            budget -= len(text)
            answer["html"] = answer_html(text) if budget >= 0 else plain_html(text)
    return turns


@page(Action.USE_MODELS)
@require_http_methods(["GET", "HEAD", "POST"])
def embeddings(request: WorkspaceRequest) -> HttpResponse:
    shown = PlaygroundPage(request, tabs.EMBEDDINGS)
    offer = shown.offer
    parameters = embedding_parameters(offer.model) if offer.model else []
    form = EmbeddingsForm(request.POST or None, offer=offer, parameters=parameters)
    context: dict[str, Any] = {
        "form": form,
        "choice": ModelChoice(offer),
        "code": shown.code(Operation.EMBEDDINGS, offer),
    }
    if request.method == "POST" and form.is_valid():
        lines = form.cleaned_data["texts"]
        body = {"input": lines, "encoding_format": "float", **form.settings}
        (outcome,) = calls.ask(
            request, [Question(Operation.EMBEDDINGS, form.cleaned_data["model"], body)]
        )
        vectors = calls.vectors(lines, outcome.body)
        context |= {
            "outcome": outcome,
            "vectors": vectors,
            "rows": list(zip(vectors, calls.similarities(vectors), strict=True)),
        }
    return shown.show(context, form)


@page(Action.USE_MODELS)
@require_http_methods(["GET", "HEAD", "POST"])
def rerank(request: WorkspaceRequest) -> HttpResponse:
    shown = PlaygroundPage(request, tabs.RERANK)
    offer = shown.offer
    form = RerankForm(request.POST or None, offer=offer)
    context: dict[str, Any] = {
        "form": form,
        "choice": ModelChoice(offer),
        "code": shown.code(Operation.RERANK, offer),
    }
    if request.method == "POST" and form.is_valid():
        documents = form.cleaned_data["documents"]
        body = {"query": form.cleaned_data["query"], "documents": documents}
        (outcome,) = calls.ask(
            request, [Question(Operation.RERANK, form.cleaned_data["model"], body)]
        )
        context |= {"outcome": outcome, "ranked": calls.ranking(documents, outcome.body)}
    return shown.show(context, form)


@page(Action.USE_MODELS)
@require_http_methods(["GET", "HEAD", "POST"])
def speech(request: WorkspaceRequest) -> HttpResponse:
    shown = PlaygroundPage(request, tabs.SPEECH)
    heard, spoken = shown.offer, shown.offers[ModelType.TEXT_TO_SPEECH]
    action = request.POST.get("action", "hear") if request.method == "POST" else ""
    hear = TranscriptionForm(
        *((request.POST, request.FILES) if action == "hear" else ()), offer=heard, auto_id="hear_%s"
    )
    speak = SpeechForm(
        *((request.POST,) if action == "speak" else ()), offer=spoken, auto_id="speak_%s"
    )
    context: dict[str, Any] = {
        "hear": hear,
        "speak": speak,
        "hear_choice": ModelChoice(heard),
        "speak_choice": ModelChoice(spoken, name="voice_model"),
        "spoken": spoken,
        "hear_code": shown.code(Operation.TRANSCRIPTION, heard),
        "speak_code": shown.code(Operation.SPEECH, spoken),
    }
    if action == "hear" and hear.is_valid():
        question = Question(
            Operation.TRANSCRIPTION, hear.cleaned_data["model"], {}, hear.cleaned_data["file"]
        )
        (context["heard"],) = calls.ask(request, [question])
    elif action == "speak" and speak.is_valid():
        (outcome,) = calls.ask(
            request, [Question(Operation.SPEECH, speak.cleaned_data["model"], speak.body)]
        )
        if outcome.problem is None:
            return _sound(outcome)
        context["unspoken"] = outcome
    return shown.show(context, hear, speak)


def _sound(outcome: Outcome) -> HttpResponse:
    """Return the audio, inline only if the provider's content type is audio."""
    kind = outcome.content_type.partition(";")[0].strip().lower()
    is_sound = kind.startswith(_SOUNDS)
    response = HttpResponse(
        outcome.content, content_type=kind if is_sound else "application/octet-stream"
    )
    response["Content-Disposition"] = "inline" if is_sound else 'attachment; filename="speech"'
    response["Content-Encoding"] = "identity"
    return response

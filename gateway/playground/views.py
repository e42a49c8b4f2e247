"""Pages of the playground. With scripts a browser asks the models through `call`; without, the
pages' own forms do.
"""

from __future__ import annotations

import json
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from core.markdown import LONGEST, answer_html, plain_html
from core.request_cache import reading_once
from core.web.forms import endpoint, focus_first_error
from core.web.request import scope_of
from gateway.playground import calls, code_samples, tabs
from gateway.playground.app import ADMISSION
from gateway.playground.calls import Outcome, Question
from gateway.playground.choices import Offer, chat_parameters, embedding_parameters, labels, offers
from gateway.playground.forms import (
    ChatForm,
    EmbeddingsForm,
    HearForm,
    ModelChoice,
    RerankForm,
    SpeakForm,
)
from gateway.playground.script_texts import texts
from gateway.playground.tabs import TABS, Tab
from providers.declaration.spec import ModelType, Operation
from providers.operations.table import OPERATIONS
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest

# What a browser may be given to play at this address. Anything else is saved, never shown.
_SOUNDS: Final = ("audio/",)


# --------------------------------------------------------------------------------- calls by scripts


@page(Action.USE_MODELS)
def call(request: WorkspaceRequest, operation: str) -> HttpResponse:
    """Who may call: the server in front asks this with every call of a script, and makes the call
    itself where it may.
    """
    if operation not in OPERATIONS:
        raise Http404
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise PermissionDenied(_("This was not sent by a page of this server."))
    admission = scope_of(request).get(ADMISSION)
    if admission is not None:
        admission.principal = request.principal
    elif request.method != "POST":
        return HttpResponse(status=405, headers={"Allow": "POST"})
    return HttpResponse(status=204)


@page(Action.USE_MODELS)
@require_POST
def render_answer(request: WorkspaceRequest) -> HttpResponse:
    """An answer's Markdown as safe HTML: scripts ask for it once, when an answer is complete."""
    text = request.POST.get("text", "")
    if len(text) > LONGEST:
        return HttpResponse(status=413)
    return HttpResponse(answer_html(text))


# -------------------------------------------------------------------------------------------- pages


class _Page:
    """What the pages share: the models of each type, tabs, and the code for the chosen model."""

    def __init__(self, request: WorkspaceRequest, tab: Tab) -> None:
        self.request, self.tab = request, tab
        given = request.POST if request.method == "POST" else request.GET
        wanted = {tab.type: given.get("model", "")}
        if tab is tabs.SPEECH:
            wanted = {
                ModelType.SPEECH_TO_TEXT: given.get("model", ""),
                ModelType.TEXT_TO_SPEECH: given.get("voice_model", ""),
            }
            if request.POST.get("action") == "speak":
                wanted = {
                    ModelType.SPEECH_TO_TEXT: "",
                    ModelType.TEXT_TO_SPEECH: given.get("model", ""),
                }
        with reading_once():
            self.offers = offers(tenant=request.tenant, wanted=wanted)

    @property
    def offer(self) -> Offer:
        return self.offers[self.tab.type]

    def code(self, operation: Operation, offer: Offer) -> list[code_samples.Sample]:
        return (
            code_samples.samples(operation, base_url=endpoint(self.request), model=offer.model.id)
            if offer.model
            else []
        )

    def show(self, context: dict[str, Any], *forms: Form) -> HttpResponse:
        """forms: those of the page; one with something wrong in it makes the answer 422, and its
        first wrong field has the focus.
        """
        wrong = [form for form in forms if form.is_bound and not form.is_valid()]
        for form in wrong:
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
        answer = render(
            self.request,
            f"gateway/playground_{self.tab.slug}.html",
            shared | context,
            status=422 if wrong else 200,
        )
        answer["Vary"] = "HX-Request"
        return answer


@page(Action.USE_MODELS)
@require_http_methods(["GET", "HEAD", "POST"])
def chat(request: WorkspaceRequest) -> HttpResponse:
    shown = _Page(request, tabs.CHAT)
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
    """One more turn of a conversation that came with the form: the form to go on with, or the one
    with something wrong in it.
    """
    action = request.POST.get("action", "send")
    if action in ("draft", "clear"):  # "draft": a text that another page hands over
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
    kept = {
        name: value
        for name, value in request.POST.items()
        if name in form.fields and name not in ("message", "history")
    }
    return ChatForm(
        offer=offer, parameters=parameters, initial=kept | {"history": json.dumps(_history(turns))}
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
    """What the browser keeps for the next turn: failed answers are left out, and so is a turn
    without any.
    """
    kept = []
    for turn in turns:
        answers = [
            {name: one[name] for name in ("slot", "model", "text", "footer")}
            for one in turn["answers"]
            if one["text"]
        ]
        if answers:
            kept.append({"user": turn["user"], "answers": answers})
    return kept


def _shown(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With HTML of the answers: of the last ones, for the conversation is made anew with each turn,
    and its length is the sender's.
    """
    left = LONGEST
    for turn in reversed(turns):
        for one in turn["answers"]:
            outcome: Outcome | None = one.get("outcome")
            text = outcome.text if outcome else one["text"]
            left -= len(text)
            one["html"] = answer_html(text) if left >= 0 else plain_html(text)
    return turns


@page(Action.USE_MODELS)
@require_http_methods(["GET", "HEAD", "POST"])
def embeddings(request: WorkspaceRequest) -> HttpResponse:
    shown = _Page(request, tabs.EMBEDDINGS)
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
        found = calls.vectors(lines, outcome.body)
        context |= {
            "outcome": outcome,
            "vectors": found,
            "rows": list(zip(found, calls.similarities(found), strict=True)),
        }
    return shown.show(context, form)


@page(Action.USE_MODELS)
@require_http_methods(["GET", "HEAD", "POST"])
def rerank(request: WorkspaceRequest) -> HttpResponse:
    shown = _Page(request, tabs.RERANK)
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
    shown = _Page(request, tabs.SPEECH)
    heard, spoken = shown.offer, shown.offers[ModelType.TEXT_TO_SPEECH]
    action = request.POST.get("action", "hear") if request.method == "POST" else ""
    hear = HearForm(
        *((request.POST, request.FILES) if action == "hear" else ()), offer=heard, auto_id="hear_%s"
    )
    speak = SpeakForm(
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
    """The spoken text itself: the browser plays it. A provider's word on what it is counts only
    where it is a sound.
    """
    kind = outcome.content_type.partition(";")[0].strip().lower()
    is_sound = kind.startswith(_SOUNDS)
    answer = HttpResponse(
        outcome.content, content_type=kind if is_sound else "application/octet-stream"
    )
    answer["Content-Disposition"] = "inline" if is_sound else 'attachment; filename="speech"'
    answer["Content-Encoding"] = "identity"
    return answer

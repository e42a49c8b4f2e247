"""The page that imports many keys. Between its steps, the keys are sealed in the session."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.web.forms import act, attempt, page_form
from providers.declaration import registry
from providers.forms import PasteForm, provider_choices
from providers.imports import services
from providers.imports.env_file import How
from providers.imports.services import Chosen, Result
from providers.models import NAME_LENGTH
from tenants.audit.trail import actor_of
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest


@page(Action.MANAGE_PROVIDERS)
def credential_import(request: WorkspaceRequest) -> HttpResponse:
    """Paste the lines, choose rows from the preview, then check and save them."""
    preview = _stored_preview(request)
    if request.method == "POST" and request.POST.get("do") == "discard":
        _forget(request)
        return redirect(request.path)
    if request.method == "POST" and request.POST.get("do") == "save":
        return _save(request, preview)
    form = (
        PasteForm(request.POST or None, request.FILES or None)
        if request.method == "POST"
        else PasteForm()
    )
    if request.method == "POST" and form.is_valid() and _read(request, form):
        return redirect(request.path)
    return _render(request, form, preview if request.method != "POST" else None)


def _render(
    request: WorkspaceRequest, form: PasteForm, preview: dict[str, Any] | None
) -> HttpResponse:
    rows = [_for_page(row) for row in preview["rows"]] if preview else []
    open_rows = [row for row in rows if row["can_be_saved"] and row["state"] != "saved"]
    context = {
        "rows": rows,
        "open_count": sum(1 for row in open_rows if row["is_chosen"]),
        "is_open": bool(open_rows),
        "is_done": any(row["state"] for row in rows),
        "saved_count": sum(1 for row in rows if row["state"] == "saved"),
        "choices": provider_choices(),
    }
    response = page_form(request, "providers/import.html", form, context)
    response["Cache-Control"] = "no-store"
    return response


def _for_page(row: dict[str, Any]) -> dict[str, Any]:
    provider = next(
        (entry for entry in registry.all_providers() if entry.slug == row["provider"]), None
    )
    can_be_saved = row["how"] != How.NO_KEY
    chosen = (
        can_be_saved
        and bool(row["provider"])
        and not row["stored_as"]
        and row["state"] != "saved"
        and not row.get("was_left")
    )
    return {
        **row,
        "provider_label": provider.label if provider else "",
        "can_be_saved": can_be_saved,
        "is_chosen": chosen,
    }


def _read(request: WorkspaceRequest, form: PasteForm) -> bool:
    nonce = secrets.token_urlsafe(12)
    preview = attempt(
        form,
        lambda: services.preview(
            tenant=request.tenant, text=form.cleaned_data["lines"], nonce=nonce
        ),
    )
    if preview is None:
        return False
    rows = [
        {
            **asdict(row),
            "how": row.how.value,
            "state": "",
            "message": "",
            "hint": "",
            "sent": "",
            "was_left": False,
        }
        for row in preview.rows
    ]
    request.session[_key(request)] = {
        "nonce": nonce,
        "token": preview.token,
        "rows": rows,
        "until": time.time() + services.KEPT_FOR,
    }
    return True


def _save(request: WorkspaceRequest, preview: dict[str, Any] | None) -> HttpResponse:
    if preview is None or not preview["token"]:
        messages.warning(request, _("The pasted keys have expired. Paste them again."))
        return redirect(request.path)
    chosen = _chosen(request, preview["rows"])
    if not chosen:
        messages.warning(request, _("Choose the keys to save, and a provider for each."))
        return redirect(request.path)
    saved: list[tuple[list[Result], str]] = []
    call = lambda: saved.append(  # noqa: E731
        services.save(
            tenant=request.tenant,
            actor=actor_of(request),
            token=preview["token"],
            nonce=preview["nonce"],
            chosen=chosen,
        )
    )
    if not act(request, call):
        _forget(request)
        return redirect(request.path)
    results, token = saved[0]
    _store_results(preview, results, {row.number for row in chosen})
    request.session[_key(request)] = {**preview, "token": token}
    _show_messages(request, results)
    return redirect(request.path)


def _store_results(preview: dict[str, Any], results: list[Result], chosen: set[int]) -> None:
    """Store each row's result, and which rows were not chosen, so that they stay unselected."""
    rows = {row["number"]: row for row in preview["rows"]}
    for row in preview["rows"]:
        row["was_left"] = row["number"] not in chosen
    for result in results:
        rows[result.number].update(
            message=result.message,
            hint=result.hint,
            sent=result.sent,
            provider=result.provider,
            label=result.name,
            state={True: "saved", False: "failed", None: "waiting"}[result.is_saved],
        )


def _show_messages(request: WorkspaceRequest, results: list[Result]) -> None:
    counts = Counter(result.is_saved for result in results)
    saved, failed, waiting = counts[True], counts[False], counts[None]
    if failed:
        text = ngettext(
            "%(n)d key was not saved: its line says why.",
            "%(n)d keys were not saved: their lines say why.",
            failed,
        )
        messages.error(request, text % {"n": failed})
    if saved:
        text = ngettext("%(n)d key saved.", "%(n)d keys saved.", saved)
        messages.success(request, text % {"n": saved})
    if waiting:
        text = ngettext(
            "%(n)d key was not checked in time.", "%(n)d keys were not checked in time.", waiting
        )
        next_step = _("Check and save again to continue.")
        messages.warning(request, f"{text % {'n': waiting}} {next_step}")


def _chosen(request: WorkspaceRequest, rows: list[dict[str, Any]]) -> list[Chosen]:
    slugs = {slug for slug, _label in provider_choices()}
    chosen = []
    for row in rows:
        number = row["number"]
        is_open = row["state"] != "saved" and row["how"] != How.NO_KEY
        if not is_open or f"take-{number}" not in request.POST:
            continue
        typed = request.POST.get(f"provider-{number}", "")
        provider = typed if row["how"] == How.UNKNOWN and typed in slugs else row["provider"]
        name = request.POST.get(f"name-{number}", "").strip()[:NAME_LENGTH] or row["label"]
        if provider:
            chosen.append(Chosen(number, provider, name))
    return chosen


def _key(request: WorkspaceRequest) -> str:
    return f"import:{request.tenant.pk}"


def _stored_preview(request: WorkspaceRequest) -> dict[str, Any] | None:
    """Return this person's valid preview in this workspace."""
    preview: dict[str, Any] | None = request.session.get(_key(request))
    if preview is not None and preview["until"] < time.time():
        _forget(request)
        return None
    return preview


def _forget(request: WorkspaceRequest) -> None:
    request.session.pop(_key(request), None)

"""The page that imports many keys at once. Between its steps the keys are kept sealed in the
session; a page never holds them.
"""

from __future__ import annotations

import secrets
import time
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
    """Paste, look, check and save: three states of one address."""
    kept = _kept(request)
    if request.method == "POST" and request.POST.get("do") == "discard":
        _forget(request)
        return redirect(request.path)
    if request.method == "POST" and request.POST.get("do") == "save":
        return _save(request, kept)
    form = (
        PasteForm(request.POST or None, request.FILES or None)
        if request.method == "POST"
        else PasteForm()
    )
    if request.method == "POST" and form.is_valid() and _read(request, form):
        return redirect(request.path)
    return _shown(request, form, kept if request.method != "POST" else None)


def _shown(request: WorkspaceRequest, form: PasteForm, kept: dict[str, Any] | None) -> HttpResponse:
    rows = [_for_page(row) for row in kept["rows"]] if kept else []
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
    provider = next((one for one in registry.all_providers() if one.slug == row["provider"]), None)
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


# -------------------------------------------------------------------------------------------- steps


def _read(request: WorkspaceRequest, form: PasteForm) -> bool:
    nonce = secrets.token_urlsafe(12)
    found = attempt(
        form,
        lambda: services.preview(
            tenant=request.tenant, text=form.cleaned_data["lines"], nonce=nonce
        ),
    )
    if found is None:
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
        for row in found.rows
    ]
    request.session[_key(request)] = {
        "nonce": nonce,
        "token": found.token,
        "rows": rows,
        "until": time.time() + services.KEPT_FOR,
    }
    return True


def _save(request: WorkspaceRequest, kept: dict[str, Any] | None) -> HttpResponse:
    if kept is None or not kept["token"]:
        messages.warning(request, _("The pasted keys are no longer kept. Paste them again."))
        return redirect(request.path)
    chosen = _chosen(request, kept["rows"])
    if not chosen:
        messages.warning(request, _("Choose the keys to save, and a provider for each."))
        return redirect(request.path)
    done: list[tuple[list[Result], str]] = []
    call = lambda: done.append(  # noqa: E731
        services.save(
            tenant=request.tenant,
            actor=actor_of(request),
            token=kept["token"],
            nonce=kept["nonce"],
            chosen=chosen,
        )
    )
    if not act(request, call):
        _forget(request)
        return redirect(request.path)
    results, token = done[0]
    _note(kept, results, {one.number for one in chosen})
    request.session[_key(request)] = {**kept, "token": token}
    _tell(request, results)
    return redirect(request.path)


def _note(kept: dict[str, Any], results: list[Result], chosen: set[int]) -> None:
    """Keep what came of each row; one that was not ticked is not ticked again by us."""
    rows = {row["number"]: row for row in kept["rows"]}
    for row in kept["rows"]:
        row["was_left"] = row["number"] not in chosen
    for one in results:
        state = {True: "saved", False: "failed", None: "waiting"}[one.is_saved]
        told = {
            "message": one.message,
            "hint": one.hint,
            "sent": one.sent,
            "provider": one.provider,
            "label": one.name,
        }
        rows[one.number].update(told, state=state)


def _tell(request: WorkspaceRequest, results: list[Result]) -> None:
    saved = sum(1 for one in results if one.is_saved)
    failed = sum(1 for one in results if one.is_saved is False)
    waiting = sum(1 for one in results if one.is_saved is None)
    if failed:
        text = ngettext(
            "%(n)d key was not saved: its line says why.",
            "%(n)d keys were not saved: their lines say why.",
            failed,
        )
        messages.error(request, text % {"n": failed})
    if saved:
        messages.success(
            request, ngettext("%(n)d key saved.", "%(n)d keys saved.", saved) % {"n": saved}
        )
    if waiting:
        text = ngettext(
            "%(n)d key was not reached in time.", "%(n)d keys were not reached in time.", waiting
        ) % {"n": waiting}
        go_on = _("Check and save again to go on.")
        messages.warning(request, f"{text} {go_on}")


def _chosen(request: WorkspaceRequest, rows: list[dict[str, Any]]) -> list[Chosen]:
    known = {slug for slug, _label in provider_choices()}
    found = []
    for row in rows:
        number = row["number"]
        if (
            row["state"] == "saved"
            or row["how"] == How.NO_KEY
            or f"take-{number}" not in request.POST
        ):
            continue
        typed = request.POST.get(f"provider-{number}", "")
        provider = typed if row["how"] == How.UNKNOWN and typed in known else row["provider"]
        name = request.POST.get(f"name-{number}", "").strip()[:NAME_LENGTH] or row["label"]
        if provider:
            found.append(Chosen(number, provider, name))
    return found


# ------------------------------------------------------------------------------------- what is kept


def _key(request: WorkspaceRequest) -> str:
    return f"import:{request.tenant.pk}"


def _kept(request: WorkspaceRequest) -> dict[str, Any] | None:
    """The preview of this person in this workspace, while it may be acted on."""
    kept: dict[str, Any] | None = request.session.get(_key(request))
    if kept is not None and kept["until"] < time.time():
        _forget(request)
        return None
    return kept


def _forget(request: WorkspaceRequest) -> None:
    request.session.pop(_key(request), None)

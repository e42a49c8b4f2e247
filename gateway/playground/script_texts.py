"""Translated texts for the playground's scripts."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from core import error_codes
from gateway.dataplane.requests.uploads import FILE_LIMIT


def _problem(title: str, message: str = "") -> dict[str, str]:
    """Return a title (what happened) and a message (what it means and what to do)."""
    return {"title": title, "message": message}


def texts() -> dict[str, Any]:
    """Return the texts by name; the scripts fill in placeholders such as {n}."""
    return {
        "titles": {entry.code: str(entry.title) for entry in error_codes.CALLS},
        "words": {entry.code: str(entry.help) for entry in error_codes.CALLS if entry.says_all},
        "about_key": [entry.code for entry in error_codes.CALLS if entry.about_key],
        "failed": _("The call failed."),
        "broken": _problem(
            _("The connection broke before the answer was complete."),
            _("The text received so far is kept. Ask again."),
        ),
        "offline": _problem(_("The server could not be reached. Nothing was changed.")),
        "ended": _problem(
            _("Your session has ended."),
            _("Sign in again in another tab, then send this again."),
        ),
        "forbidden": _problem(
            _("This was not allowed."),
            _("Reload the page: your role or your session may have changed."),
        ),
        "tokens": _("{asked} + {said} tokens"),
        "total": _("{n} tokens"),
        "seconds": _("{n} s"),
        "trial": _("trial"),
        "left": _("trial, {n} left"),
        "stopped": _("stopped"),
        "waiting": _("Waiting for the answer…"),
        "writing": _("The model is answering."),
        "complete": _("The answer is complete."),
        "halted": _("Stopped. The text received so far is kept."),
        "cut": _("cut off at the token limit"),
        "filtered": _("stopped by the provider's content filter"),
        "empty": _("The model returned an empty answer."),
        "json": _problem(
            _("The tools are not a JSON list."), _("Correct them, or clear the field.")
        ),
        "sign_in": _("Sign in"),
        "copied": _("Copied"),
        "unsafe": _("Recording needs HTTPS (or localhost). Upload a file instead."),
        "unsupported": _("This browser cannot record. Upload a file instead."),
        "refused": _(
            "The browser was not allowed to use the microphone. Allow it in the address bar, or "
            "upload a file."
        ),
        "none": _("No microphone was found. Connect one, or upload a file."),
        "busy": _("Another program is using the microphone. Close it, or upload a file."),
        "listening": _("Listening… {time} · {level}"),
        "level": _("level {n} %"),
        "silent": _("no sound yet"),
        "limit": FILE_LIMIT,
        "too_large": _problem(
            _("The file is larger than 25 MB."),
            _("Nothing was sent. Choose a shorter recording, or split it."),
        ),
        "transcribed": _("The transcript is complete."),
        "recorded": _("Recorded {time}. Sending {size} KB…"),
        "hearing": _("Transcribing the recording… {n} s"),
        "speaking": _("Generating speech… {n} s"),
        "spoken": _("Ready: {size} KB."),
        "unplayable": _("This browser cannot play this format. Save the file instead."),
    }

"""What the playground's scripts say, in the reader's language."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from gateway.playground_calls import OTHER, TITLES


def texts() -> dict[str, Any]:
    """By name; {n} and the like are filled in by the script."""
    return {
        "titles": {code: str(title) for code, title in TITLES.items()},
        "failed": str(OTHER),
        "broken": _("The connection broke before the answer was complete."),
        "offline": _("The server could not be reached. Nothing was changed."),
        "ended": _("Your session has ended. Sign in again in another tab, then send this once more."),
        "forbidden": _("This was not allowed. Reload the page: your role or your session may have changed."),
        "tokens": _("{asked} + {said} tokens"),
        "total": _("{n} tokens"),
        "seconds": _("{n} s"),
        "trial": _("trial"),
        "left": _("trial, {n} left"),
        "stopped": _("stopped"),
        "waiting": _("Waiting for the answer…"),
        "writing": _("The answer is being written."),
        "complete": _("The answer is complete."),
        "halted": _("Stopped. What had arrived stays."),
        "cut": _("cut off at the most tokens"),
        "filtered": _("ended by the provider's content filter"),
        "empty": _("The model answered with nothing."),
        "json": _("This is not a JSON list."),
        "copied": _("Copied"),
        "unsafe": _("Recording needs HTTPS (or localhost). Upload a file instead."),
        "unsupported": _("This browser cannot record. Upload a file instead."),
        "refused": _("The browser was not allowed to use the microphone. Allow it in the address bar, or upload a file."),
        "none": _("No microphone was found. Connect one, or upload a file."),
        "busy": _("The microphone is used by another program. Close it, or upload a file."),
        "listening": _("Listening… {time} · level {level}"),
        "silent": _("nothing heard"),
        "recorded": _("Recorded {time}. Sending {size} KB…"),
        "hearing": _("The recording is being written down… {n} s"),
        "speaking": _("The text is being spoken… {n} s"),
        "spoken": _("Ready: {size} KB."),
        "unplayable": _("This browser cannot play this format. Save the file instead."),
    }

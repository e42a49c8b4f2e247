"""The body of one line on a trial: checked as a call on a trial is."""

from __future__ import annotations

from typing import Any

from gateway.dataplane.doors.responses import DOOR as RESPONSES
from gateway.dataplane.refusals import refuse_many_answers, refuse_stored


def for_trial(body: dict[str, Any], dialect: str) -> dict[str, Any]:
    """Return what the operator's account is asked.

    Args:
        dialect: The name of the door whose format the body has.

    Raises:
        NoCredits: The line asks for several answers, or names what is stored at the provider.
    """
    refuse_many_answers(body)
    refuse_stored(body, dialect)
    return {**body, "store": False} if dialect == RESPONSES.name else body

"""The headers that the data plane reads and sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import COUNT, TEXT, Schema, constant, one_of
from gateway.dataplane.doors.interface import Door
from gateway.dataplane.requests.request import KEY_LENGTH

Parameter = dict[str, Any]


def _header(description: Any, schema: Schema, example: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema, "example": example}


SENT: Final[Mapping[str, dict[str, Any]]] = {
    "X-Request-Id": _header(
        _("Names the call in the call log and in the server's log."),
        TEXT,
        "7f3c9a51d2e84b6f90a1c2d3",
    ),
    "Request-Id": _header(
        _("The same as X-Request-Id, for Anthropic's clients."), TEXT, "7f3c9a51d2e84b6f90a1c2d3"
    ),
    "X-Modelkeep-Provider": _header(_("The provider that answered."), TEXT, "openai"),
    "X-Modelkeep-Model": _header(_("The model that answered."), TEXT, "gpt-5-mini"),
    "X-Modelkeep-Source": _header(
        _("What paid: `credential:NAME` or `trial:PLAN`, with percent-encoding."),
        TEXT,
        "credential:Main",
    ),
    "X-Modelkeep-Attempts": _header(
        _("How many models and sources were tried, the one that answered included."), COUNT, 1
    ),
    "X-Modelkeep-Credits-Remaining": _header(
        _("Credits left on the trial that paid, after this call."), COUNT, 499
    ),
    "X-Modelkeep-Reasoning": _header(
        _("`lost` if earlier reasoning could not be brought back to the model."),
        constant("lost"),
        "lost",
    ),
    "X-Modelkeep-Tokens": _header(
        _("Whether the provider counted the tokens."), one_of("reported", "estimated"), "reported"
    ),
    "X-Modelkeep-Left-At": _header(
        _(
            "The provider that still stores the deleted response: the credential that made it is "
            "no longer here."
        ),
        TEXT,
        "openai",
    ),
    "X-Modelkeep-Limit-Scope": _header(
        _("Whose rate limit is reached, with `rate_limited`."),
        one_of("app_key", "member", "workspace"),
        "app_key",
    ),
    "X-Modelkeep-Limit-Measure": _header(
        _("Which rate limit is reached."), TEXT, "requests_per_minute"
    ),
    "X-Modelkeep-Limit-Amount": _header(_("The rate limit that is reached."), COUNT, 60),
    "X-Modelkeep-Limit-Used": _header(_("What counts against the rate limit now."), COUNT, 60),
    "Retry-After": _header(_("Seconds to wait before trying again, if that is known."), COUNT, 20),
    "X-Should-Retry": _header(
        _("`false` if sending the same call again cannot help."), constant("false"), "false"
    ),
}
# With each answer of a model, and with errors as far as the call came.
OF_CALLS: Final = (
    "X-Modelkeep-Provider",
    "X-Modelkeep-Model",
    "X-Modelkeep-Source",
    "X-Modelkeep-Attempts",
    "X-Modelkeep-Credits-Remaining",
    "X-Modelkeep-Reasoning",
)
OF_COUNTS: Final = ("X-Modelkeep-Provider", "X-Modelkeep-Model", "X-Modelkeep-Tokens")
OF_ERRORS: Final = (
    "Retry-After",
    "X-Should-Retry",
    "X-Modelkeep-Limit-Scope",
    "X-Modelkeep-Limit-Measure",
    "X-Modelkeep-Limit-Amount",
    "X-Modelkeep-Limit-Used",
)


def sent(doors: Iterable[Door], names: Iterable[str] = ()) -> dict[str, Any]:
    """Refer to headers of a response; those with the request's id are always sent."""
    ids = [name.decode().title() for door in doors for name, _value in door.id_headers("")]
    return {
        name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *ids, *names)
    }


REQUEST_ID: Final[Parameter] = {
    "name": "X-Request-Id",
    "in": "header",
    "description": _("Your own ID of the request; answers and logs repeat it."),
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"},
}
IDEMPOTENCY_KEY: Final[Parameter] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": _(
        "Makes repeats safe on a trial: a repeat with the same key is neither sent nor charged "
        "again."
    ),
    "schema": {"type": "string", "pattern": f"^[ -~]{{0,{KEY_LENGTH}}}$"},
}


def forwarded(door: Door) -> list[Parameter]:
    """Return the headers that a provider of the door's format gets."""
    return [
        {
            "name": name,
            "in": "header",
            "description": _("Passed on to providers that speak the same format."),
            "schema": {"type": "string", "pattern": "^[ -~]*$"},
        }
        for name in sorted(door.forwarded)
    ]


def marker(door: Door) -> Parameter:
    """Return the header that asks for a door's format on a path that has several."""
    return {
        "name": door.marker,
        "in": "header",
        "description": _("Asks for Anthropic's form, whatever its value."),
        "schema": TEXT,
    }

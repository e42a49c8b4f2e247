"""Why a trial does not serve a call: three different errors, and those of repeated requests."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from quotas.statements import HoldResult, HoldState
from tenants.errors import ServiceError


class TrialExhausted(ServiceError):
    """Too few credits left. settled, held, left: the pool's credits; limit is settled + held + left."""

    def __init__(self, *, label: Any, settled: int, held: int, left: int) -> None:
        text = _(
            "The %(plan)s trial is used up (%(settled)s of %(limit)s calls used, %(held)s under way). "
            "Add your own key for this provider, or ask the operator for more credits."
        )
        numbers = {"plan": label, "settled": settled, "limit": settled + held + left, "held": held}
        super().__init__("trial_exhausted", Text(text, numbers), status=402)
        self.settled, self.held, self.left = settled, held, left


class ModelNotInTrial(ServiceError):
    """The trial is there, but not for this model."""

    def __init__(self, *, label: Any, model: str, models: Any) -> None:
        text = _("%(model)s is not in the %(plan)s trial. Use one of its models (%(models)s), or add your own key for this provider.")
        super().__init__(
            "model_not_in_trial", Text(text, {"plan": label, "model": model, "models": ", ".join(models)}), "model", status=403
        )


class TrialProviderUnavailable(ServiceError):
    """The operator's own account at the provider is refused, throttled or out of funds; nothing was charged."""

    def __init__(self, *, label: Any) -> None:
        text = _(
            "The %(plan)s trial cannot be served at the moment: the provider does not accept the operator's account. "
            "No credit was used. Try again later, or add your own key for this provider."
        )
        super().__init__("trial_provider_unavailable", Text(text, {"plan": label}), status=503)


class RepeatedRequest(ServiceError):
    """The Idempotency-Key was used before; `credits` says what the first request cost, None where it is still under way."""

    def __init__(self, code: str, message: Any, *, status: int, credits: int | None = None) -> None:
        super().__init__(code, message, "Idempotency-Key", status=status)
        self.credits = credits


class Text:
    """A translatable text with its values, put together when it is shown."""

    def __init__(self, text: Any, values: dict[str, Any]) -> None:
        self.text = text
        self.values = values

    def __str__(self) -> str:
        return str(self.text) % self.values


def refusal(result: HoldResult, *, label: Any) -> ServiceError | None:
    """The error to answer for a hold that was not made; None for one that was. label: the plan's."""
    match result.state:
        case HoldState.HELD:
            return None
        case HoldState.EXHAUSTED:
            return TrialExhausted(label=label, settled=result.settled, held=result.held, left=result.left)
        case HoldState.IN_PROGRESS:
            text = _("A request with this Idempotency-Key is still under way. Wait for its answer; nothing more was charged.")
            return RepeatedRequest("in_progress", text, status=409)
        case HoldState.DONE:
            done = _("A request with this Idempotency-Key is finished and cost %(credits)s credits. Nothing more was charged.")
            return RepeatedRequest("already_done", Text(done, {"credits": result.used}), status=409, credits=result.used)
    text = _("This Idempotency-Key was used for a different request. Use a new key for a new request.")
    return RepeatedRequest("idempotency_key_reused", text, status=422)

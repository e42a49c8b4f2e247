"""What the codes of failed calls mean, in words: what happened, what it means, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Words:
    """A code's short name, and what it means with what to do; lazy strings."""

    title: Any
    text: Any


ERRORS: Final[dict[str, Words]] = {
    "provider_auth_failed": Words(
        _("Key refused"), _("The provider refused the key. Calls fail until it is replaced on the provider's page.")
    ),
    "provider_permission_denied": Words(
        _("Not permitted"),
        _("The key is valid, but the provider does not let it use this model. Allow it at the provider, or choose another."),
    ),
    "provider_out_of_funds": Words(_("No money left"), _("The account at the provider has no credit. Calls fail until it is topped up.")),
    "provider_rate_limited": Words(
        _("Rate limit"), _("The provider takes no more calls for now. Slow down, raise the limit there, or set up a fallback model.")
    ),
    "context_length_exceeded": Words(
        _("Prompt too long"), _("The prompt does not fit the model's context window. Shorten it, or choose a model with a larger one.")
    ),
    "content_filter": Words(_("Content filter"), _("The provider refused the content of the request. Change the prompt.")),
    "model_not_found": Words(
        _("No such model"), _("The name is not in this workspace's catalog, or the provider does not know it any more. Check its spelling.")
    ),
    "provider_overloaded": Words(_("Overloaded"), _("The provider was too busy. Try again later, or set up a fallback model.")),
    "invalid_request": Words(
        _("Invalid request"), _("The request was refused as it was. Its answer told the application which field is wrong.")
    ),
    "provider_timeout": Words(_("Too slow"), _("The provider did not answer in time. Try again, or ask for a shorter answer.")),
    "provider_unreachable": Words(_("Unreachable"), _("No connection to the provider. Check the network and the base URL.")),
    "provider_wrong_url": Words(_("Wrong address"), _("There is no such API at the base URL. Check it on the provider's page.")),
    "provider_error": Words(_("Provider failed"), _("The provider answered with an error, or could not be read. Try again.")),
    "trial_exhausted": Words(_("Trial used up"), _("No trial credits are left. Add a key of your own.")),
    "budget_exhausted": Words(_("Budget used up"), _("The budget is spent. Raise it, or wait until it starts anew.")),
    "model_not_in_trial": Words(_("Not in the trial"), _("The trial does not include this model. Add a key of your own to use it.")),
    "trial_provider_unavailable": Words(
        _("Trial out of order"), _("The operator's account at the provider does not answer. Try again later, or add a key of your own.")
    ),
    "not_configured": Words(_("Not set up"), _("The provider has no credential here, or no default model is chosen. Set it up first.")),
    "ambiguous_model": Words(_("Ambiguous name"), _("Several providers have a model of this name. Write provider/model.")),
    "key_scope": Words(_("App key too narrow"), _("The app key may not do this. Make one with wider scopes.")),
    "credential_unreadable": Words(
        _("Credential unreadable"), _("The stored key cannot be opened, so nothing was sent. Enter it again on the provider's page.")
    ),
    "in_progress": Words(_("Repeat, still running"), _("The same call is under way already. Wait for its answer.")),
    "already_done": Words(_("Repeat, done already"), _("The same call was answered before. Nothing was charged again.")),
    "idempotency_mismatch": Words(
        _("Repeat with another request"), _("An idempotency key was used for two different requests. Use a new one for each.")
    ),
    "cancelled": Words(_("Cancelled"), _("The application left before the answer was complete.")),
    "database_unavailable": Words(_("Database away"), _("This server could not reach its database. Nothing was charged.")),
    "internal_error": Words(_("Our mistake"), _("This server made a mistake. Tell its operator the request id.")),
    "unknown": Words(
        _("Outcome unknown"), _("The server stopped while the provider worked. One call was charged; ask the operator for a grant.")
    ),
    "not_sent": Words(_("Not sent"), _("The server stopped before the call left. Nothing was charged.")),
    "too_large": Words(_("Too large"), _("The request is larger than this server takes. Send less at once.")),
}


def error(code: str) -> Words:
    """The words of a code; the code itself for one that has none."""
    return ERRORS.get(code) or Words(code, "")

"""Error codes of model calls, under /v1 and in call records."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from core.error_codes.code import RECORDED, ErrorCode

# Provider failures are also sent with 422 when a check in the settings failed and nothing was
# saved.
REQUEST: Final = (
    ErrorCode(
        "invalid_request",
        (400, 422),
        _("Invalid request"),
        _(
            "A field is invalid, or the provider does not support it. The response names the "
            "field: correct it and try again."
        ),
    ),
    ErrorCode(
        "context_length_exceeded",
        (400, 422),
        _("Prompt too long"),
        _(
            "The prompt does not fit the model's context window. Shorten it, or choose a model "
            "with a larger one."
        ),
    ),
    ErrorCode(
        "content_filter",
        (400, 422),
        _("Content filter"),
        _("The provider refused the content. Change it, or try another provider."),
    ),
    ErrorCode(
        "https_required",
        (403,),
        _("Not encrypted"),
        _(
            "The request was sent over plain http, so others may have read its key. Use the "
            "server's https address, and replace the key."
        ),
        says_all=True,
    ),
    ErrorCode(
        "too_large",
        (413,),
        _("Too large"),
        _(
            "The request or file is larger than this server accepts. Send less; files may have up "
            "to 25 MiB."
        ),
        says_all=True,
    ),
    ErrorCode(
        "too_many_bodies",
        (429,),
        _("Too many large requests"),
        _(
            "The app key has too many large requests under way. Send the request again when one "
            "has ended."
        ),
        says_all=True,
    ),
    ErrorCode(
        "unsupported_media_type",
        (415,),
        _("Unsupported format"),
        _(
            "This server does not accept the format of the file or body. Recordings can be flac, "
            "mp3, mp4, m4a, ogg, wav or webm; other requests are JSON in UTF-8."
        ),
        says_all=True,
    ),
    ErrorCode(
        "not_found",
        (404,),
        _("Not found"),
        _(
            "The path does not exist, or this workspace has no such object. Check the path: calls "
            "go to `/v1/`, settings to `/api/v1/`."
        ),
    ),
    ErrorCode(
        "method_not_allowed",
        (405,),
        _("Wrong method"),
        _("The path does not support this HTTP method. Use one that the API reference lists."),
    ),
    ErrorCode(
        "idempotency_mismatch",
        (422,),
        _("Idempotency key reused"),
        _("An idempotency key was used for two different requests. Use a new one for each."),
    ),
    ErrorCode(
        "in_progress",
        (409,),
        _("Call still running"),
        _("The first call with this idempotency key is still running. Wait for its answer."),
    ),
    ErrorCode(
        "already_done",
        (409,),
        _("Call already finished"),
        _(
            "The first call with this idempotency key has finished. Nothing was charged again; "
            "use a new key to send the request again."
        ),
    ),
)
APP_KEY: Final = (
    ErrorCode(
        "missing_key",
        (401,),
        _("No app key"),
        _("The request has no app key. Send `Authorization: Bearer mk_live_…`."),
    ),
    ErrorCode(
        "malformed_key",
        (401,),
        _("Not an app key"),
        _(
            "This is not a Modelkeep app key, or part of it is missing. Copy the whole key, "
            "starting with `mk_live_`."
        ),
    ),
    ErrorCode(
        "unknown_key",
        (401,),
        _("Unknown app key"),
        _(
            "This server does not know the key. Check that it was made on this server, or make a "
            "new one."
        ),
    ),
    ErrorCode(
        "revoked_key", (401,), _("App key revoked"), _("The key was revoked. Use another key.")
    ),
    ErrorCode(
        "expired_key", (401, 409), _("App key expired"), _("The key has expired. Make a new one.")
    ),
    ErrorCode(
        "owner_left",
        (401,),
        _("Key owner has left"),
        _("The key's owner has left the workspace. Make a new key."),
    ),
    ErrorCode(
        "two_keys",
        (400,),
        _("Two app keys"),
        _("The request has two different keys. Send one key, in one header."),
    ),
    ErrorCode(
        "key_scope",
        (403,),
        _("App key lacks rights"),
        _("The app key is not allowed to do this or to use this model. Use one with wider scopes."),
    ),
    ErrorCode(
        "workspace_suspended",
        (403,),
        _("Workspace suspended"),
        _("An operator has suspended the workspace. Ask the operator of this server."),
    ),
    ErrorCode(
        "rate_limited",
        (429,),
        _("Rate limit reached"),
        _(
            "The app key, its owner or the workspace may not call as often, or as much at once. "
            "Wait as long as the response says, or ask an admin for higher limits."
        ),
    ),
    ErrorCode(
        "workspace_closed",
        (403,),
        _("Workspace closed"),
        _(
            "The workspace's owner has closed it. Use another workspace; only an operator can "
            "reopen this one."
        ),
    ),
)
MODEL: Final = (
    ErrorCode(
        "model_not_found",
        (404, 400, 422),
        _("Model not found"),
        _(
            "The model is unknown, switched off, or no longer offered by the provider. "
            "Check its name; the list of models has what you can use."
        ),
    ),
    ErrorCode(
        "ambiguous_model",
        (400,),
        _("Ambiguous name"),
        _("Several providers have a model of this name. Write provider/model."),
    ),
    ErrorCode(
        "not_configured",
        (424,),
        _("Not set up"),
        _(
            "The provider has no credential in this workspace, or no default model is chosen. Set "
            "up the provider, or choose a model under Default models."
        ),
        says_all=True,
        about_key=True,
    ),
)
TRIAL: Final = (
    ErrorCode(
        "trial_exhausted",
        (402,),
        _("Trial used up"),
        _("No trial credits are left. Add your own key, or ask the operator for more credits."),
        says_all=True,
        about_key=True,
    ),
    ErrorCode(
        "model_not_in_trial",
        (403,),
        _("Not in the trial"),
        _("The trial does not include this model. Use one of its models, or add your own key."),
        says_all=True,
        about_key=True,
    ),
    ErrorCode(
        "trial_provider_unavailable",
        (503,),
        _("Trial unavailable"),
        _(
            "The provider refuses or limits the operator's account. You were not charged. Try "
            "again later, or add your own key."
        ),
        says_all=True,
    ),
)
PROVIDER: Final = (
    ErrorCode(
        "provider_auth_failed",
        (502, 422),
        _("Key refused"),
        _("The provider refused the key. Calls fail until it is replaced on the provider's page."),
        about_key=True,
    ),
    ErrorCode(
        "provider_permission_denied",
        (502, 422),
        _("Not permitted"),
        _(
            "The key is valid but not allowed to do this. Grant the permission at the provider, "
            "or use another model."
        ),
    ),
    ErrorCode(
        "provider_out_of_funds",
        (502, 422),
        _("Out of funds"),
        _("The account at the provider has no credit. Calls fail until it is topped up."),
        about_key=True,
    ),
    ErrorCode(
        "provider_rate_limited",
        (429, 422),
        _("Rate limit"),
        _(
            "The account has sent too many requests. Wait as long as the response says, raise the "
            "limit at the provider, or set up a second credential or a fallback model."
        ),
    ),
    ErrorCode(
        "provider_overloaded",
        (503, 422),
        _("Overloaded"),
        _("The provider is overloaded. Try again later, or set up a fallback model."),
    ),
    ErrorCode(
        "provider_timeout",
        (504, 422),
        _("Timed out"),
        _(
            "The provider did not answer in time. Try again; for models that think for a long "
            "time, ask the operator to raise the timeout."
        ),
    ),
    ErrorCode(
        "provider_unreachable",
        (422,),
        _("Unreachable"),
        _("This server could not connect to the provider. Check the base URL and the network."),
    ),
    ErrorCode(
        "provider_wrong_url",
        (422,),
        _("Wrong address"),
        _("The base URL does not lead to the provider's API. Correct it on the provider's page."),
    ),
    ErrorCode(
        "provider_error",
        (502, 422),
        _("Provider failed"),
        _("The provider failed or could not be reached. Try again; the message quotes it."),
    ),
)
SERVER: Final = (
    ErrorCode(
        "credential_unreadable",
        (503,),
        _("Credential unreadable"),
        _(
            "The stored key cannot be decrypted, so nothing was sent. Enter it again on the "
            "provider's page."
        ),
        says_all=True,
        about_key=True,
    ),
    ErrorCode(
        "database_unavailable",
        (503,),
        _("Database unavailable"),
        _("This server could not reach its database. Nothing was charged. Try again shortly."),
        says_all=True,
    ),
    ErrorCode(
        "server_stopping",
        (503,),
        _("Server stopping"),
        _(
            "The server stopped or restarted before the answer was complete. Send the request "
            "again; it is charged again if the provider had begun to answer."
        ),
        says_all=True,
    ),
    ErrorCode(
        "server_busy",
        (503,),
        _("Server busy"),
        _(
            "This server has too many large requests under way, so it did not take this one. "
            "Nothing was charged. Send it again shortly."
        ),
        says_all=True,
    ),
    ErrorCode(
        "unavailable",
        (503,),
        _("Pages only"),
        _("This process only serves pages. Ask the operator to start the server with `make run`."),
    ),
    ErrorCode(
        "internal_error",
        (500,),
        _("Server error"),
        _("Something went wrong on this server. Send the request ID to its operator."),
        says_all=True,
    ),
)
OUTCOME: Final = (
    ErrorCode(
        "cancelled",
        (RECORDED,),
        _("Cancelled"),
        _("The application disconnected before the answer was complete."),
    ),
    ErrorCode(
        "unknown",
        (RECORDED,),
        _("Outcome unknown"),
        _(
            "The server stopped while the provider was answering. One call was charged; ask the "
            "operator to give the credit back."
        ),
    ),
    ErrorCode(
        "not_sent",
        (RECORDED,),
        _("Not sent"),
        _("The server stopped before the call was sent. Nothing was charged."),
    ),
)

"""Error codes for changes to a workspace's settings, in the REST API and on pages."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from core.error_codes.code import ErrorCode

PATHS: Final = (
    ErrorCode(
        "unknown_path",
        (404,),
        _("Unknown path"),
        _("The REST API does not have this path. The API reference lists its paths."),
    ),
    ErrorCode(
        "not_acceptable",
        (406,),
        _("Format not available"),
        _("`Accept` asks for a format that is not available. Omit the header, or ask for JSON."),
    ),
)
VALUES: Final = (
    ErrorCode(
        "invalid_json",
        (400,),
        _("Invalid JSON"),
        _("The body is not valid JSON. Correct it; duplicate names and NaN are not allowed."),
    ),
    ErrorCode(
        "invalid_value",
        (400,),
        _("Invalid value"),
        _("A field has an invalid value. Correct it as the message says."),
    ),
    ErrorCode(
        "unknown_field",
        (400,),
        _("Unknown field"),
        _("The provider does not have this field. Remove it, or correct its name."),
    ),
    ErrorCode(
        "bad_name",
        (400,),
        _("Invalid name"),
        _("The name is empty, too long, or has unprintable characters. Choose another name."),
    ),
    ErrorCode(
        "name_taken",
        (409,),
        _("Name in use"),
        _("The name is already in use. Choose another name."),
    ),
    ErrorCode(
        "bad_slug",
        (400,),
        _("Invalid workspace address"),
        _(
            "The workspace's address is invalid. Choose another one, of lower-case letters, "
            "digits and hyphens."
        ),
    ),
    ErrorCode(
        "slug_taken",
        (409,),
        _("Workspace address in use"),
        _("The workspace's address is already in use. Choose another one."),
    ),
    ErrorCode(
        "moved_too_often",
        (409,),
        _("Too many addresses"),
        _(
            "The workspace has had ten addresses, and all stay reserved for it. Go back to one of "
            "them."
        ),
    ),
    ErrorCode(
        "bad_list",
        (400,),
        _("Invalid list"),
        _("The list is too long or has unprintable names. Shorten it."),
    ),
    ErrorCode(
        "changed_meanwhile",
        (409,),
        _("Changed in the meantime"),
        _("Someone else changed it after you opened the page. Reload the page and try again."),
    ),
)
PROVIDERS: Final = (
    ErrorCode(
        "unknown_provider",
        (404,),
        _("Unknown provider"),
        _("The provider does not exist. Look up its slug in the list of providers."),
    ),
    ErrorCode(
        "no_such_credential",
        (404,),
        _("Credential not found"),
        _("The credential no longer exists. Reload the page."),
    ),
    ErrorCode(
        "no_credential",
        (409,),
        _("No credential yet"),
        _("The provider has no credential of yours yet. Add a key first."),
    ),
    ErrorCode(
        "only_credential",
        (409,),
        _("Only credential"),
        _("This is the provider's only credential. Add another one first, or delete it."),
    ),
    ErrorCode(
        "key_required",
        (400,),
        _("Key required again"),
        _("You changed the address without entering the key again. Enter the key too."),
    ),
    ErrorCode(
        "check_required",
        (400,),
        _("Check required"),
        _(
            "Keys and models of this provider must be checked before they are saved. Leave the "
            "check on."
        ),
    ),
    ErrorCode(
        "keys_not_ready",
        (503,),
        _("Master keys invalid"),
        _(
            "This server's master keys are missing or invalid, so no key can be stored or checked. "
            "Tell the operator."
        ),
    ),
    ErrorCode(
        "invalid_order",
        (400,),
        _("Incomplete order"),
        _("The order does not list each credential exactly once. Send all IDs, each once."),
    ),
    ErrorCode(
        "model_exists",
        (409,),
        _("Model exists"),
        _("The model already exists. Change the existing one."),
    ),
    ErrorCode(
        "model_disabled",
        (400,),
        _("Model switched off"),
        _("The model is switched off. Switch it on first."),
    ),
    ErrorCode(
        "wrong_type",
        (400,),
        _("Wrong type of model"),
        _("The scenario needs a model of another type. Choose a model of the right type."),
    ),
    ErrorCode(
        "not_added",
        (409,),
        _("Not added by hand"),
        _("The model comes from the provider's own list. Switch it off instead of deleting it."),
    ),
    ErrorCode(
        "too_long",
        (400,),
        _("Too much text"),
        _("You pasted more than 64 KiB of text. Import it in parts."),
    ),
    ErrorCode(
        "too_many",
        (400,),
        _("Too many lines"),
        _("You pasted more lines than can be imported at once. Import them in parts."),
    ),
    ErrorCode(
        "nothing_found",
        (400,),
        _("Nothing to import"),
        _("No line contains a provider key. Write one `NAME=value` per line."),
    ),
    ErrorCode(
        "unknown_scenario",
        (404,),
        _("Unknown scenario"),
        _("The scenario does not exist. Use one of those under Default models."),
    ),
)

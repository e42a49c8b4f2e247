"""What the OpenAPI document says in words, for translation: the views and serializers of the apps say it in English.

tests/api/test_docs.py names what the document says and this list does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext, gettext_noop
from drf_spectacular.openapi import AutoSchema

KEYS = ("summary", "description")


class Schema(AutoSchema):
    def get_description(self) -> str:  # type: ignore[override]
        """Only what is meant for readers of the API: a docstring is for readers of the code."""
        return ""


def described(node: Any) -> Iterator[dict[str, Any]]:
    """Every part of the document that says something."""
    if isinstance(node, dict):
        if any(isinstance(node.get(key), str) for key in KEYS):
            yield node
        for inner in node.values():
            yield from described(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from described(inner)


def words(node: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """By key, what a part of the document says: the words, and the list of choices that may follow them."""
    found = {}
    for key in KEYS:
        if isinstance(text := node.get(key), str) and text and not text.startswith("* `"):
            said, _gap, choices = text.partition("\n\n* `")
            found[key] = (said, f"\n\n* `{choices}" if choices else "")
    return found


def translated(node: dict[str, Any]) -> dict[str, str]:
    return {key: gettext(said) + choices for key, (said, choices) in words(node).items()}


TEXTS = (
    gettext_noop("Providers"),
    gettext_noop("Credentials"),
    gettext_noop("Models"),
    gettext_noop("Default models"),
    gettext_noop("Usage and trials"),
    gettext_noop("App keys"),
    gettext_noop("Members"),
    gettext_noop("Workspace"),
    gettext_noop("Audit trail"),
    gettext_noop("List the app keys"),
    gettext_noop("Cursor: the `next` of the page before. Leave it out for the first page."),
    gettext_noop("Rows of one page at most."),
    gettext_noop("Not understood: malformed JSON, an unknown field or parameter, a wrong value."),
    gettext_noop("No app key, or one that is not valid."),
    gettext_noop("The app key may not do this."),
    gettext_noop("Only the listed media types are answered."),
    gettext_noop("The database or the workspace's key cannot be used at the moment."),
    gettext_noop("Make an app key"),
    gettext_noop("The body is larger than 256 KiB."),
    gettext_noop("The body is not JSON in UTF-8."),
    gettext_noop("Show an app key"),
    gettext_noop("There is no such object in this workspace."),
    gettext_noop("Revoke an app key"),
    gettext_noop("It does nothing from the next request on."),
    gettext_noop("No response body"),
    gettext_noop("Replace an app key by a new one"),
    gettext_noop("The new key takes name and rights over; the old one works for `overlap_hours` more."),
    gettext_noop("Who did what, newest first"),
    gettext_noop('How the action starts: "credential." or "credential.added".'),
    gettext_noop("Who acted, as the entries name it."),
    gettext_noop("Entries before this moment."),
    gettext_noop("Part of who acted or of what was acted on."),
    gettext_noop("Entries of this moment and later."),
    gettext_noop("List the default models"),
    gettext_noop("Every scenario; `model` is null where none is chosen."),
    gettext_noop("Show a scenario's default model"),
    gettext_noop("Set a scenario's default model"),
    gettext_noop("Clear a scenario's default model"),
    gettext_noop("Calls that name no model answer 424 from then on. Clearing what is clear is no error."),
    gettext_noop("List the open invitations"),
    gettext_noop("Invite a person"),
    gettext_noop("Inviting an address again ends the older link. An address that is a member answers 409."),
    gettext_noop("Withdraw an invitation"),
    gettext_noop("List the members"),
    gettext_noop("Show a member"),
    gettext_noop("Change a member's role"),
    gettext_noop(
        "Nobody gives or takes a role above the own one; an app key counts as an admin at most. A workspace keeps an owner (409)."
    ),
    gettext_noop("Remove a member"),
    gettext_noop("The person's app keys stop with the membership."),
    gettext_noop("List the models"),
    gettext_noop(
        "The models of every provider that is set up: by a credential, a trial that is on, or a model added by hand. `callable` says which of them calls can reach: of a trial it is the trial's own models only. /v1/models lists those."
    ),
    gettext_noop("Part of a name or label."),
    gettext_noop("Show a model"),
    gettext_noop("Switch a model, or override its facts"),
    gettext_noop("A fact that is null goes back to what is shipped or what the provider says. Importing again keeps overrides."),
    gettext_noop("Delete a model that was added by hand"),
    gettext_noop("The model is shipped or the provider's own: it can be switched off, not deleted."),
    gettext_noop("List the providers"),
    gettext_noop("Every provider of this installation with its forms as data and its state in this workspace."),
    gettext_noop("Show a provider"),
    gettext_noop("Set the order of a provider's credentials"),
    gettext_noop("The first one becomes active. Every credential of the provider must be named once."),
    gettext_noop("List a provider's credentials"),
    gettext_noop("The active one first, then those that stand by, in order."),
    gettext_noop("Check and store a credential"),
    gettext_noop(
        "The first one becomes active. The provider is asked before anything is stored; what it refuses answers 422 with the reason as `code` (provider_auth_failed, provider_wrong_url, provider_unreachable, provider_timeout, provider_permission_denied, provider_rate_limited, provider_error) and `what_we_sent`. An account without money is stored with the state `no_funds`."
    ),
    gettext_noop("The name is taken, or somebody else changed the row meanwhile."),
    gettext_noop("The provider refused it."),
    gettext_noop("Show a credential"),
    gettext_noop("Rename a credential or replace its fields"),
    gettext_noop("New values are checked as a whole before anything is stored; `check` counts only together with `values`."),
    gettext_noop("Delete a credential"),
    gettext_noop("A standby one takes over where there is one. Works for credentials that cannot be read any more, too."),
    gettext_noop("Make a credential the active one"),
    gettext_noop("Check a stored credential again"),
    gettext_noop("Answers 200 whatever the provider says: `state` and `message` are the result."),
    gettext_noop("Add a model"),
    gettext_noop("For hosting providers, or one more model of any other. `base_url` may be among `values` where the provider says so."),
    gettext_noop("The model is there already."),
    gettext_noop("The provider refused the model."),
    gettext_noop("Import the provider's models again"),
    gettext_noop("Where the list cannot be fetched the older one stays, and `error` says why."),
    gettext_noop("The provider has no credential yet."),
    gettext_noop("Show which source serves first"),
    gettext_noop("Choose which source serves first"),
    gettext_noop("The own credential or the trial, where both exist. Every call says which one served it."),
    gettext_noop("List the trials with their credits"),
    gettext_noop("List the calls, newest first"),
    gettext_noop("One immutable record per finished call. With `Accept: text/csv` or `format=csv` it is a CSV file."),
    gettext_noop("Cursor: the `next` of the page before."),
    gettext_noop("Its name."),
    gettext_noop("Calls that came in earlier than this."),
    gettext_noop("Also chosen by the Accept header."),
    gettext_noop("100 by default; 1000 for CSV."),
    gettext_noop('The model\'s name, or "provider/model".'),
    gettext_noop("Calls that came in at this time or later."),
    gettext_noop('"credential" or "trial" for all of a kind, or one such as "trial:openai".'),
    gettext_noop("Show a call"),
    gettext_noop("Sums of usage"),
    gettext_noop("How far back, today included."),
    gettext_noop("The model's name without its provider."),
    gettext_noop("The key's workspace"),
    gettext_noop("Change the workspace's name, address or language"),
    gettext_noop("Not wider than what your own key may do."),
    gettext_noop("Empty means all."),
    gettext_noop('"provider/model"; empty means all.'),
    gettext_noop('Endpoints of /v1, such as "embeddings"; empty means all.'),
    gettext_noop("Send it as `after` for the page that follows; null is the end."),
    gettext_noop("How the key starts; the rest is not stored."),
    gettext_noop('Endpoints of /v1, such as "chat.completions"; empty means all.'),
    gettext_noop('What served it: "credential:NAME" or "trial:PLAN".'),
    gettext_noop("Its name; empty where no app key made the call."),
    gettext_noop("Where the numbers of tokens come from."),
    gettext_noop("Trial credits charged."),
    gettext_noop('A decimal number such as "0.00042"; null is not priced, which is not free.'),
    gettext_noop("What the client was answered."),
    gettext_noop('A decimal number such as "0.00042".'),
    gettext_noop("Fields to change. A secret that is left out stays, unless `base_url` changes: then it must be sent again."),
    gettext_noop("Unique among the provider's credentials."),
    gettext_noop("By field name; the provider's `credential_fields` says which there are. `base_url` is among them."),
    gettext_noop("false stores without asking the provider, where `allow_unchecked` says so."),
    gettext_noop("All that is ever shown of the secret fields."),
    gettext_noop("The fields that are not secret."),
    gettext_noop("Empty for the provider's own address."),
    gettext_noop("Calls use it first; the others stand by."),
    gettext_noop("Place among those that stand by."),
    gettext_noop("The provider's last words where something is wrong."),
    gettext_noop('"provider/model", switched on and of the scenario\'s type.'),
    gettext_noop("Models of this type fit."),
    gettext_noop('"provider/model"; null where nothing is chosen.'),
    gettext_noop("Tried in this order where the model before fails."),
    gettext_noop("The chosen model is in the catalog and switched on."),
    gettext_noop("The key in `values`."),
    gettext_noop("Goes in and never comes out."),
    gettext_noop("Where the value is got."),
    gettext_noop("Heading of an alternative: of the groups of a provider one is filled in."),
    gettext_noop("The only values there are."),
    gettext_noop("When the password was set through an invitation's link, until it is changed."),
    gettext_noop("`enabled` switches; every other field overrides a fact, and null takes the override back."),
    gettext_noop("Name -> {min, max, default, supported}."),
    gettext_noop(
        '{"currency": "USD", "input": "2.50", "output": "10"}: decimal strings per million tokens, or {"currency", "free": true}.'
    ),
    gettext_noop("The provider's name of the model or deployment."),
    gettext_noop("By field name; the provider's `model_fields` says which there are."),
    gettext_noop("Ask the model something first; nothing is stored where it fails."),
    gettext_noop('"provider/model": what the /v1 endpoints take as `model`.'),
    gettext_noop("null: not known."),
    gettext_noop(
        "Whether calls would be served if it is enabled: by a credential, a trial that has this model, or its own key or address."
    ),
    gettext_noop("Shipped with Modelkeep, from the provider's list, or added by hand."),
    gettext_noop("Tokens; null is not known."),
    gettext_noop("Texts that the provider takes in one embedding request; null is not known."),
    gettext_noop("The day it is or was shut down."),
    gettext_noop("A model of the same provider, or empty."),
    gettext_noop("The provider's last list did not have it."),
    gettext_noop("Added by hand: can be deleted."),
    gettext_noop("Fields of a model added by hand that are not secret."),
    gettext_noop("Its own address, or empty."),
    gettext_noop("Its own key, masked; empty without one."),
    gettext_noop("Facts that this workspace set itself."),
    gettext_noop("Where the facts come from."),
    gettext_noop("The key. It is shown now and never again."),
    gettext_noop("The link for the invited person. It is shown now and never again."),
    gettext_noop("Amounts are decimal strings per million tokens; what is not known is absent, never 0."),
    gettext_noop("Of all output where the model thought."),
    gettext_noop("Of audio."),
    gettext_noop("Of text to speak."),
    gettext_noop("own: all models are imported at once. hosting: each model is added with its fields."),
    gettext_noop("Where a key is got."),
    gettext_noop("Checking a credential costs a call of one token."),
    gettext_noop('Whether `"check": false` is allowed.'),
    gettext_noop("How many are stored."),
    gettext_noop("How many models the catalog knows."),
    gettext_noop("Why the list of models could not be fetched the last time."),
    gettext_noop("Which source serves a call first where both exist."),
    gettext_noop("How many models of the provider the catalog knows now."),
    gettext_noop("Why the provider's list could not be fetched, or empty; the older list stays then."),
    gettext_noop("How long the old key stays valid."),
    gettext_noop("Always null: the whole sum is one page."),
    gettext_noop('The day (2026-11-22), "provider/model", provider, name of the app key ...'),
    gettext_noop("The client left."),
    gettext_noop("Of calls whose tokens are known."),
    gettext_noop("One sum per currency."),
    gettext_noop("Answered calls without a known price: they are in no cost."),
    gettext_noop("Prompt tokens from which on these amounts hold for the whole request."),
    gettext_noop("Used credits."),
    gettext_noop("Credits of calls that are under way."),
    gettext_noop("What a call costs."),
    gettext_noop("Whether the operator has it switched on."),
    gettext_noop("The address of before leads to the new one."),
    gettext_noop("The workspace's address."),
    gettext_noop("Of people who are invited from now on; empty: their browser's."),
    gettext_noop("What happened, what it means, what to do."),
    gettext_noop("For programs; it does not change."),
    gettext_noop("The field that must change."),
    gettext_noop("Also in the header X-Request-Id and in the server's log."),
    gettext_noop("A guess at the cause, such as a key that looks like another provider's."),
    gettext_noop("Where a provider was asked: the request, without the key."),
    gettext_noop("An app key of the workspace."),
)

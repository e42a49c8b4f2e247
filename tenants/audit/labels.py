"""Display texts for the codes in the audit trail."""

from __future__ import annotations

from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants import ports
from tenants.auth.permissions import ROLE_LABELS, SCOPE_LABELS
from tenants.auth.principal import APP_KEY_ACTOR
from tenants.limits.rates import LABELS as RATE_LABELS

AUDIT_KINDS = (
    ("credential.", pgettext_lazy("audit", "Credentials")),
    ("model", pgettext_lazy("audit", "Models")),
    ("default", pgettext_lazy("audit", "Default models")),
    ("app_key.", pgettext_lazy("audit", "App keys")),
    ("member.", pgettext_lazy("audit", "Members")),
    ("invitation.", pgettext_lazy("audit", "Invitations")),
    ("key_pair.", pgettext_lazy("audit", "Key pairs")),
    ("workspace.", pgettext_lazy("audit", "Workspace")),
    ("trial", pgettext_lazy("audit", "Trials")),
    ("usage.", pgettext_lazy("audit", "Usage")),
    ("audit.", pgettext_lazy("audit", "Audit log")),
)
SENTENCES: dict[str, Any] = {
    "workspace.created": _("made the workspace"),
    "workspace.renamed": _("renamed the workspace"),
    "workspace.moved": _("changed the workspace's address"),
    "workspace.origins_changed": _("changed which web pages may call models"),
    "workspace.call_days_changed": _("changed how long calls are kept"),
    "workspace.kept_hours_changed": _("changed how long calls keep what they need later"),
    "workspace.language_changed": _("changed the default language of the workspace"),
    "workspace.rates_changed": _("changed the rate limits of the workspace"),
    "workspace.closed": _("closed the workspace"),
    "workspace.reopened": _("reopened the workspace"),
    "workspace.suspended": _("suspended the workspace"),
    "workspace.resumed": _("resumed the workspace"),
    "member.added": _("added a member"),
    "member.invited": _("invited"),
    "member.joined": _("joined the workspace"),
    "member.left": _("left the workspace"),
    "member.removed": _("removed a member"),
    "member.rates_changed": _("changed the rate limits of"),
    "member.role_changed": _("changed the role of"),
    "invitation.revoked": _("withdrew the invitation of"),
    "app_key.created": _("made the app key"),
    "app_key.changed": _("changed the app key"),
    "app_key.revoked": _("revoked the app key"),
    "app_key.rotated": _("rotated the app key"),
    "credential.added": _("added the credential"),
    "credential.replaced": _("replaced the credential"),
    "credential.renamed": _("renamed the credential"),
    "credential.checked": _("checked the credential"),
    "credential.activated": _("activated the credential"),
    "credential.deactivated": _("deactivated the credential"),
    "credential.ordered": _("changed the order of credentials"),
    "credential.deleted": _("deleted the credential"),
    "provider.source_order_changed": _("changed the order of trial and own key"),
    "models.imported": _("imported the models of"),
    "models.refreshed": _("refreshed the models of"),
    "model.added": _("added the model"),
    "model.removed": _("removed the model"),
    "model.enabled": _("switched the model on"),
    "model.disabled": _("switched the model off"),
    "model.overridden": _("changed the facts of the model"),
    "usage.rated": _("priced calls again"),
    "default.set": _("set the default model"),
    "default.cleared": _("cleared the default model"),
    "default_model.set": _("set the default model"),
    "default_model.cleared": _("cleared the default model"),
    "usage.exported": _("downloaded as CSV:"),
    "key_pair.rotated": _("rotated the key pair"),
    "key_pair.resealed": _("re-encrypted the credentials"),
    "key_pair.replaced": _("replaced a key pair that could not be opened"),
    "master_key.renewed": _("renewed the master key"),
    "member.password_set": _("set another password for"),
    "member.password_reset": _("reset, by a link sent by e-mail, the password of"),
    "member.email_changed": _("changed the e-mail address of"),
    "member.deactivated": _("closed the account of"),
    "member.reactivated": _("reopened the account of"),
    "trial.granted": _("granted trial credits"),
    "audit.exported": _("downloaded the audit log"),
}


ACTORS: dict[str, Any] = {
    "command": pgettext_lazy("actor", "A command on the server"),
    "system": pgettext_lazy("actor", "The system"),
}
DETAILS: dict[str, Any] = {
    "address": pgettext_lazy("network", "Address"),
    "after": _("after"),
    "allowed_models": _("allowed models"),
    "allowed_operations": _("allowed endpoints"),
    "allowed_providers": _("allowed providers"),
    "app_keys": _("app keys"),
    "base_url": _("base URL"),
    "before": _("before"),
    "credentials": _("credentials"),
    "credits": _("credits"),
    "days": _("days"),
    "deleted": _("deleted"),
    "expires": _("Expires"),
    "failed": _("failed"),
    "fallbacks": _("fallbacks"),
    "hours": _("hours"),
    "invitations": _("invitations"),
    "invited_by": _("invited by"),
    "language": _("language"),
    "lost": _("lost key pair"),
    "model": _("model"),
    "models": _("models"),
    "overlap_hours": _("hours that the old key stays valid"),
    "password": _("first password set through"),
    "prefix": pgettext_lazy("app key", "Key"),
    "processed": _("processed"),
    "provider": _("provider"),
    "rates": _("rate limits"),
    "reason": _("reason"),
    "replaces": _("in place of"),
    "role": pgettext_lazy("member", "Role"),
    "rows": _("rows"),
    "scopes": _("May be used to"),
    "sent": pgettext_lazy("invitation", "sent"),
    "state": _("state"),
    "succeeded": _("re-encrypted"),
    "trial_first": _("trial before own key"),
    "total": _("to re-encrypt"),
}
ROLE_WORDS: dict[str, Any] = {role.value: label for role, label in ROLE_LABELS.items()}
VALUES: dict[str, dict[str, Any]] = {
    "allowed_models": {"all": _("all")},
    "allowed_operations": {"all": _("all")},
    "allowed_providers": {"all": _("all")},
    "expires": {"none": pgettext_lazy("expiry", "Never")},
    "rates": {"none": _("no limit"), **RATE_LABELS},
    "role": ROLE_WORDS,
    "scopes": {scope.value: label for scope, label in SCOPE_LABELS.items()},
    "state": {
        "connected": _("Connected"),
        "unchecked": _("Not checked"),
        "rejected": _("Key rejected"),
        "no_funds": _("Out of funds"),
        "unreachable": _("Unreachable"),
    },
    "password": {"link": _("the link"), "e-mail": _("e-mail")},
    "sent": {"link": _("as a link"), "e-mail": _("by e-mail")},
}


def sentence(action: str) -> Any:
    """Return the text of an action, or the code if it has none."""
    return SENTENCES.get(action, action)


def actor_label(actor: str) -> Any:
    """Return the display name of an actor."""
    if actor.startswith(APP_KEY_ACTOR):
        return _("App key %(name)s") % {"name": actor.removeprefix(APP_KEY_ACTOR)}
    return ACTORS.get(actor, actor)


def details(entry: Any) -> list[tuple[Any, str]]:
    """Return (label, value) of each detail of an audit entry, leaving out empty ones."""
    values = VALUES | ({"before": ROLE_WORDS} if entry.action == "member.role_changed" else {})
    return [
        (
            capfirst(DETAILS.get(name, name.replace("_", " "))),
            _value(name, value, values.get(name, {})),
        )
        for name, value in entry.details.items()
        if value not in (None, "", [], {}) and not (name == "failed" and value == 0)
    ]


def object_label(entry: Any) -> Any:
    """Return the display name of an audit entry's object."""
    return ports.label(entry.object_type, entry.object_label)


def _value(name: str, value: Any, labels: dict[str, Any]) -> str:
    if isinstance(value, str) and value not in labels:
        return str(ports.label(name, value))
    return _text(value, labels)


def _text(value: Any, labels: dict[str, Any]) -> str:
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, list | tuple):
        return ", ".join(_text(item, labels) for item in value)
    if isinstance(value, dict):
        return "; ".join(
            f"{labels.get(name, name)}: {_text(item, labels)}" for name, item in value.items()
        )
    if isinstance(value, float):
        return f"{value:g}"
    return str(labels.get(value, value))

"""Words for what the audit trail stores as codes."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

AUDIT_KINDS = (
    ("credential.", pgettext_lazy("audit", "Credentials")),
    ("model", pgettext_lazy("audit", "Models")),
    ("default", pgettext_lazy("audit", "Default models")),
    ("app_key.", pgettext_lazy("audit", "App keys")),
    ("member.", pgettext_lazy("audit", "Members")),
    ("invitation.", pgettext_lazy("audit", "Invitations")),
    ("key_pair.", pgettext_lazy("audit", "Key pairs")),
    ("workspace.", pgettext_lazy("audit", "Workspace")),
)
SENTENCES: dict[str, Any] = {
    "workspace.created": _("made the workspace"),
    "workspace.renamed": _("renamed the workspace"),
    "workspace.suspended": _("suspended the workspace"),
    "workspace.resumed": _("resumed the workspace"),
    "member.added": _("added a member"),
    "member.invited": _("invited"),
    "member.joined": _("joined the workspace"),
    "member.left": _("left the workspace"),
    "member.removed": _("removed a member"),
    "member.role_changed": _("changed the role of"),
    "invitation.revoked": _("withdrew the invitation of"),
    "app_key.created": _("made the app key"),
    "app_key.revoked": _("revoked the app key"),
    "app_key.rotated": _("rotated the app key"),
    "credential.added": _("added the credential"),
    "credential.replaced": _("replaced the credential"),
    "credential.renamed": _("renamed the credential"),
    "credential.checked": _("checked the credential"),
    "credential.activated": _("activated the credential"),
    "credential.deactivated": _("set aside the credential"),
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
    "default.set": _("set the default model"),
    "default.cleared": _("cleared the default model"),
    "default_model.set": _("set the default model"),
    "default_model.cleared": _("cleared the default model"),
    "key_pair.rotated": _("rotated the key pair"),
    "key_pair.replaced": _("replaced the key pair"),
}


def sentence(action: str) -> Any:
    """The words of an action; the code itself for one that has none yet."""
    return SENTENCES.get(action, action)

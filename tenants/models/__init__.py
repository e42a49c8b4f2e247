"""Workspaces, people, app keys, key pairs and the audit trail."""

from __future__ import annotations

from tenants.models.app_key import EXPIRES_SOON, AppKey
from tenants.models.audit import AuditEntry
from tenants.models.installation import Archive, InstallationNote
from tenants.models.kept import KeptItem
from tenants.models.key_pair import KeyOpening, KeyPair, KeyPairManager, MasterKeyCheck
from tenants.models.membership import Invitation, Membership, SentInvitation
from tenants.models.user import (
    KnownAddress,
    SignInFailures,
    UnprovenMailbox,
    User,
    UserManager,
)
from tenants.models.workspace import (
    AllowedOrigin,
    ForeignTenant,
    FormerAddress,
    Tenant,
    TenantOwned,
)

__all__ = [
    "EXPIRES_SOON",
    "AllowedOrigin",
    "AppKey",
    "Archive",
    "AuditEntry",
    "ForeignTenant",
    "FormerAddress",
    "InstallationNote",
    "Invitation",
    "KeptItem",
    "KeyOpening",
    "KeyPair",
    "KeyPairManager",
    "KnownAddress",
    "MasterKeyCheck",
    "Membership",
    "SentInvitation",
    "SignInFailures",
    "Tenant",
    "TenantOwned",
    "UnprovenMailbox",
    "User",
    "UserManager",
]

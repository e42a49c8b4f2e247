"""Resolve an app key or a membership to a Principal."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.db.connection import dialect, execute
from core.db.dialect import Dialect, read_json, read_time, read_uuid
from core.db.statements import Query
from core.times import LAST_USED_INTERVAL
from tenants.auth.headers import BadCredential, read_header
from tenants.auth.permissions import ROLE_ACTIONS, Action, Role, Scope, actions_of
from tenants.crypto import digest_key
from tenants.crypto.digest_key import DigestKeyUnavailable, app_key_digest, proof_of
from tenants.limits.rates import Rate, rate_of

logger = logging.getLogger(__name__)

# An app key's label, as records keep it and the REST API gives it: this and the key's name.
# A person's is the e-mail address, which holds no blank.
APP_KEY_ACTOR: Final = "app key "


@dataclass(frozen=True)
class Principal:
    """The caller: a person or app key, its workspace, and its permissions."""

    kind: str  # "user" or "app_key"
    tenant_id: UUID
    tenant_slug: str
    role: Role | None  # None: an app key made by a command
    scopes: frozenset[Scope] | None  # None: a person
    actions: frozenset[Action]
    user_id: int | None
    app_key_id: UUID | None
    app_key_name: str
    label: str
    allowed_providers: frozenset[str]  # empty: all
    allowed_models: frozenset[str]  # "provider/model"; empty: all
    config_version: int
    # Endpoints of /v1 such as "embeddings"; empty: all.
    allowed_operations: frozenset[str] = frozenset()
    expires: datetime | None = None  # of an app key; None: never
    kept_hours: int = 0  # how long the workspace keeps what calls need later
    rates: tuple[Rate, ...] = ()  # of the app key, its owner and the workspace
    # The stored last use is older than LAST_USED_INTERVAL, so it should be written (touch).
    touch_due: bool = field(default=False, compare=False)

    def can(self, action: Action) -> bool:
        """Return whether the caller may perform an action."""
        return action in self.actions

    def may_ask(self, operation: str) -> bool:
        """Return whether the key's limits allow a /v1 endpoint, such as "chat.completions"."""
        return not self.allowed_operations or operation in self.allowed_operations

    def may_use(self, provider: str, model: str) -> bool:
        """Return whether the key's limits allow a model.

        Args:
            provider: The provider's slug.
            model: The model's name without the provider.
        """
        if self.allowed_providers and provider not in self.allowed_providers:
            return False
        return not self.allowed_models or f"{provider}/{model}" in self.allowed_models

    @property
    def has_limits(self) -> bool:
        """Whether this is an app key limited to some providers or models."""
        return bool(self.allowed_providers or self.allowed_models)

    def may_see_provider(self, provider: str) -> bool:
        """Return whether the key's limits allow any model of a provider."""
        if self.allowed_providers and provider not in self.allowed_providers:
            return False
        return not self.allowed_models or any(
            name.startswith(f"{provider}/") for name in self.allowed_models
        )

    def may_change_provider(self, provider: str) -> bool:
        """Return whether the key's limits allow what concerns all models of a provider."""
        return not self.allowed_models and self.may_see_provider(provider)

    def may_grant(self, role: Role) -> bool:
        """Return whether a person with a role would be no wider and no longer-lived than this.

        Whether the caller's own role is high enough is checked by `can_change_role`.
        """
        if self.kind != "app_key":
            return True
        is_limited = self.has_limits or self.allowed_operations or self.expires is not None
        return not is_limited and ROLE_ACTIONS[role] <= self.actions


# {p} is the placeholder: "%s" for psycopg and Django's cursors, "?" for sqlite3. The only
# parameter is lookup_digest(key).
PRINCIPAL_SQL: Final = (
    "SELECT k.digest, k.id, k.name, k.scopes, k.allowed_providers, k.allowed_models, "
    "k.allowed_operations, k.expires, k.revoked, k.last_used,"
    " k.made_by_command, k.created_by_id, u.is_active, m.role, t.id, t.slug, t.status, "
    "t.config_version, k.proof, t.kept_hours, k.rates, m.rates, m.id, t.rates"
    " FROM tenants_appkey k JOIN tenants_tenant t ON t.id = k.tenant_id"
    " LEFT JOIN tenants_user u ON u.id = k.created_by_id"
    " LEFT JOIN tenants_membership m ON m.tenant_id = k.tenant_id AND m.user_id = k.created_by_id"
    " WHERE k.digest = {p}"
)
_TOUCH_SQL: Final = (
    "UPDATE tenants_appkey SET last_used = {p} WHERE id IN ("
    "SELECT used.id FROM tenants_appkey AS used WHERE used.id {among} AND "
    "(used.last_used IS NULL OR used.last_used < {p}) ORDER BY used.id {skip_locked})"
)


class _Row(NamedTuple):
    """The columns of PRINCIPAL_SQL in order; types depend on the database driver."""

    digest: str
    key_id: Any
    name: str
    scopes: Any
    allowed_providers: Any
    allowed_models: Any
    allowed_operations: Any
    expires: Any
    revoked: Any
    last_used: Any
    made_by_command: Any
    created_by_id: int | None
    is_active: Any
    role: str | None
    tenant_id: Any
    tenant_slug: str
    tenant_status: str
    config_version: int
    proof: str
    kept_hours: int
    rates: Any
    member_rates: Any
    member_id: int | None
    tenant_rates: Any


class _Known(NamedTuple):
    """What a row says, while the database gives the same one and `until` has not come."""

    row: _Row
    principal: Principal
    until: datetime


CACHE_SIZE: Final = 16_384  # principals per process; one takes 2.6 KB
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_cache: dict[str, _Known] = {}  # by digest


def lookup_digest(key: str) -> str:
    """Return the digest to look an app key up by.

    Makes a query unless `digest_key.is_loaded()`.

    Raises:
        BadCredential: 503 if the server's master keys cannot be used.
    """
    try:
        return app_key_digest(key)
    except DigestKeyUnavailable as error:
        logger.error("App keys cannot be checked: %s", error)
        raise BadCredential(
            "keys_not_ready",
            _(
                "This server cannot check app keys: there is a problem with its master keys. Ask "
                "the operator."
            ),
        ) from None


def principal_from_row(
    row: Sequence[Any] | None, now: datetime, *, digest: str | None = None
) -> Principal:
    """Return the Principal for a row of PRINCIPAL_SQL.

    Args:
        row: The fetched row, or None if the query found nothing.
        now: Aware datetime.
        digest: Of the app key; if set, it is compared with the row's in constant time.

    Raises:
        BadCredential: 401 for an unknown, forged, revoked or expired key or one whose owner has
            left; 403 for a suspended workspace.
    """
    if row is None or (digest is not None and not hmac.compare_digest(row[0], digest)):
        raise _unknown_key()
    known = _cache.get(row[0])
    if known is None or known.row != tuple(row) or now >= known.until:
        known = _read(_Row(*row), now)
        _cache.pop(known.row.digest, None)
        while len(_cache) >= CACHE_SIZE:
            del _cache[next(iter(_cache))]  # the oldest
        _cache[known.row.digest] = known
    return known.principal


def _unknown_key() -> BadCredential:
    return BadCredential(
        "unknown_key",
        _("Unknown app key. It may have been deleted, or it belongs to another server."),
    )


def _read(row: _Row, now: datetime) -> _Known:
    """Check a row and build its Principal. Raises BadCredential."""
    _check_usable(row, now)
    touched = None if row.last_used is None else read_time(row.last_used) + LAST_USED_INTERVAL
    principal = _build_principal(row, touched is None or now > touched)
    _check_proof(row, principal)
    changes = [touched] if touched is not None and not principal.touch_due else []
    if principal.expires is not None:
        changes.append(principal.expires)
    return _Known(row, principal, min(changes, default=_NEVER))


def _build_principal(row: _Row, touch_due: bool) -> Principal:
    role = Role(row.role) if row.role else None
    scopes = frozenset(Scope(value) for value in read_json(row.scopes))
    return Principal(
        kind="app_key",
        tenant_id=read_uuid(row.tenant_id),
        tenant_slug=row.tenant_slug,
        role=role,
        scopes=scopes,
        actions=actions_of(role, scopes),
        user_id=row.created_by_id,
        app_key_id=read_uuid(row.key_id),
        app_key_name=row.name,
        label=f"{APP_KEY_ACTOR}{row.name}",
        allowed_providers=frozenset(read_json(row.allowed_providers)),
        allowed_models=frozenset(read_json(row.allowed_models)),
        allowed_operations=frozenset(read_json(row.allowed_operations)),
        config_version=row.config_version,
        expires=read_time(row.expires) if row.expires is not None else None,
        kept_hours=row.kept_hours,
        rates=_rates(
            ("app_key", read_uuid(row.key_id), row.rates),
            ("member", row.member_id, row.member_rates),
            ("workspace", read_uuid(row.tenant_id), row.tenant_rates),
        ),
        touch_due=touch_due,
    )


def _rates(*stored: tuple[str, Any, Any]) -> tuple[Rate, ...]:
    """Return the rates that rows store, each given as scope, the row's ID and its values."""
    rates = (
        rate_of(scope, owner, read_json(values))
        for scope, owner, values in stored
        if values is not None
    )
    return tuple(rate for rate in rates if rate is not None)


def _check_proof(row: _Row, principal: Principal) -> None:
    """Raise BadCredential if anyone but the product wrote or changed the row."""
    assert principal.app_key_id is not None
    assert principal.scopes is not None
    expected = proof_of(
        digest=row.digest,
        key_id=principal.app_key_id,
        tenant_id=principal.tenant_id,
        scopes=principal.scopes,
        limits=(
            principal.allowed_providers,
            principal.allowed_models,
            principal.allowed_operations,
        ),
        created_by_id=row.created_by_id,
        made_by_command=row.made_by_command,
        expires=principal.expires,
        secret=digest_key.load(),
    )
    if not hmac.compare_digest(row.proof, expected):
        logger.error(
            "App key %s of workspace %s is refused: its row was changed in the database",
            principal.app_key_id,
            principal.tenant_slug,
        )
        raise _unknown_key()


def _check_usable(row: _Row, now: datetime) -> None:
    """Raise BadCredential if the key, its owner or its workspace is no longer active."""
    if row.revoked is not None:
        raise BadCredential(
            "revoked_key", _("This app key was revoked. Use another one or ask for a new one.")
        )
    if row.expires is not None and read_time(row.expires) <= now:
        raise BadCredential(
            "expired_key", _("This app key has expired. Use another one or ask for a new one.")
        )
    if not _owner_is_active(row):
        raise BadCredential(
            "owner_left",
            _(
                "This key's owner left the workspace, so the key no longer works. Ask a member "
                "for a new one."
            ),
        )
    if row.tenant_status == "closed":
        raise BadCredential(
            "workspace_closed",
            _("This workspace was closed by its owner. Its models can no longer be called."),
        )
    if row.tenant_status != "active":
        raise BadCredential(
            "workspace_suspended",
            _("This workspace is suspended. Ask the operator of this server."),
        )


def _owner_is_active(row: _Row) -> bool:
    """Return whether the owner is still an active member, or a command made the key."""
    if row.created_by_id is None:
        return bool(row.made_by_command)
    return bool(row.is_active) and row.role is not None


def touch(key_ids: Iterable[UUID], now: datetime, sql: Dialect) -> Query:
    """Return the statement that writes when app keys were last used.

    It waits for nobody: keys that are being changed are left out.
    """
    text = _TOUCH_SQL.format(
        p=sql.mark, among=sql.among.format(p=sql.mark), skip_locked=sql.skip_locked
    ).format(table="used")
    used = sql.value(now), sql.uuids(key_ids), sql.value(now - LAST_USED_INTERVAL)
    return Query(text, used)


def find_principal(headers: Mapping[str, str]) -> Principal:
    """Authenticate request headers through Django's connection and update the key's last use.

    Args:
        headers: Request headers with lower-case names.

    Raises:
        BadCredential: If there is no usable app key.
    """
    key = read_header(headers)
    now = timezone.now()
    sql = dialect()
    digest = lookup_digest(key)
    rows = execute(PRINCIPAL_SQL.format(p=sql.mark), [digest])
    principal = principal_from_row(rows[0] if rows else None, now, digest=digest)
    if principal.touch_due and principal.app_key_id is not None:
        execute(*touch([principal.app_key_id], now, sql))
    return principal


def principal_of_member(membership: Any) -> Principal:
    """Return the Principal for a member.

    Args:
        membership: A Membership with its tenant and user loaded.
    """
    role = Role(membership.role)
    return Principal(
        kind="user",
        tenant_id=membership.tenant_id,
        tenant_slug=membership.tenant.slug,
        role=role,
        scopes=None,
        actions=actions_of(role),
        user_id=membership.user_id,
        app_key_id=None,
        app_key_name="",
        label=membership.user.email,
        allowed_providers=frozenset(),
        allowed_models=frozenset(),
        config_version=membership.tenant.config_version,
        kept_hours=membership.tenant.kept_hours,
        rates=_rates(
            ("member", membership.pk, membership.rates),
            ("workspace", membership.tenant_id, membership.tenant.rates),
        ),
    )

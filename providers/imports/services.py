"""Import of many keys: a preview that is kept sealed between two requests, then one check after the
other, within a deadline.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from core.errors import ServiceError
from providers import queries
from providers.credentials import services
from providers.declaration import registry
from providers.imports import env_file
from providers.imports.env_file import Candidate, How
from providers.models import CredentialState
from tenants.audit.trail import Actor
from tenants.crypto import keys
from tenants.models import Tenant

DEADLINE = 60.0  # seconds for all checks of one request; what was not reached is offered again
KEPT_FOR = 15 * 60  # seconds that a preview can be acted on
_PURPOSE, _NAME = "import", "import"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the preview: everything but the secrets. stored_as: the credential that seems to
    hold the same key.
    """

    number: int
    lines: tuple[int, ...]
    names: tuple[str, ...]
    how: How
    provider: str
    label: str
    mask: str
    stored_as: str

    @property
    def can_be_saved(self) -> bool:
        return self.how is not How.NO_KEY


@dataclass(frozen=True, slots=True)
class Preview:
    """Rows to show, and the sealed values of them: a token that only this workspace's key opens."""

    rows: tuple[Row, ...]
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person decided of a row: the provider and the credential's name."""

    number: int
    provider: str
    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row. is_saved None: it was not reached in time."""

    number: int
    provider: str
    name: str
    is_saved: bool | None
    message: str = ""
    hint: str = ""
    sent: str = ""


def preview(*, tenant: Tenant, text: str, nonce: str) -> Preview:
    """What pasted lines would add. nonce: names the preview; the token opens with it only. Raises
    ServiceError.
    """
    candidates = env_file.recognise(env_file.read(text))
    credentials = list(queries.credentials(tenant_id=tenant.pk))
    stored = {(one.provider, one.mask): one.name for one in credentials if one.mask}
    taken = {(one.provider, one.name) for one in credentials}
    rows = tuple(_row(number, one, stored, taken) for number, one in enumerate(candidates))
    secret = {
        str(row.number): one.values
        for row, one in zip(rows, candidates, strict=True)
        if row.can_be_saved
    }
    if not secret:
        raise ServiceError(
            "nothing_found", _("None of the lines holds a key of a provider."), field="text"
        )
    return Preview(rows, keys.seal(**_context(tenant.pk, nonce), text=json.dumps(secret)))


def _row(
    number: int, one: Candidate, stored: Mapping[tuple[str, str], str], taken: set[tuple[str, str]]
) -> Row:
    """taken: the names that are in use, by provider; the row's own is added."""
    label = _free(one.label, one.provider, taken)
    taken.add((one.provider, label))
    secret = _secret_of(one)
    mask = keys.mask(secret) if secret else ""
    # A mask without any letter of the key says nothing of it.
    same = stored.get((one.provider, mask), "") if mask != keys.mask("") else ""
    return Row(number, one.lines, one.names, one.how, one.provider, label, mask, same)


def _free(label: str, provider: str, taken: set[tuple[str, str]]) -> str:
    names = [label, *(f"{label} {number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if (provider, name) not in taken)


def _secret_of(one: Candidate) -> str:
    if not one.provider:
        return one.values.get("", "")
    declared = registry.get(one.provider).credential_fields
    return next(
        (
            one.values[field.name]
            for field in declared
            if field.secret and one.values.get(field.name)
        ),
        "",
    )


def save(
    *,
    tenant: Tenant,
    actor: Actor,
    token: str,
    nonce: str,
    chosen: Sequence[Chosen],
    deadline: float = DEADLINE,
) -> tuple[list[Result], str]:
    """Check and store what was chosen, one after the other; failing is an answer. Returns the
    results, and a token with the values of what was not stored, to try it again.

    deadline: seconds; a check that has begun is finished. Raises CredentialUnreadable where the
    token does not open.
    """
    opened: dict[str, dict[str, str]] = json.loads(
        keys.open_sealed(
            **_context(tenant.pk, nonce),
            token=token,
            purpose=_PURPOSE,
            subject="import:pasted lines",
        )
    )
    ends = time.monotonic() + deadline
    results = []
    for one in chosen:
        values = opened.get(str(one.number))
        if values is None:
            continue
        result = (
            _save_one(tenant, actor, one, values)
            if time.monotonic() < ends
            else Result(one.number, one.provider, one.name, None)
        )
        results.append(result)
        if result.is_saved:
            del opened[str(one.number)]
    left = keys.seal(**_context(tenant.pk, nonce), text=json.dumps(opened)) if opened else ""
    return results, left


def _save_one(tenant: Tenant, actor: Actor, one: Chosen, values: dict[str, str]) -> Result:
    try:
        stored = services.add_credential(
            tenant=tenant,
            actor=actor,
            provider=one.provider,
            name=one.name,
            values=_values_for(one.provider, values),
        )
    except ServiceError as refused:
        sent = getattr(refused, "what_we_sent", None)
        return Result(
            one.number,
            one.provider,
            one.name,
            False,
            str(refused.message),
            getattr(refused, "hint", ""),
            str(sent or ""),
        )
    if stored.state == CredentialState.NO_FUNDS:
        return Result(
            one.number,
            one.provider,
            one.name,
            True,
            _("Saved, but the account has no credit. Calls fail until it is topped up."),
        )
    if stored.state == CredentialState.UNCHECKED:
        return Result(
            one.number,
            one.provider,
            one.name,
            True,
            _("Saved. It is checked with the first model that is added."),
        )
    return Result(one.number, one.provider, one.name, True, _("Checked and saved."))


def _values_for(slug: str, values: dict[str, str]) -> dict[str, str]:
    """The values by the provider's fields: a key whose provider was chosen by hand belongs to the
    provider's key field.
    """
    if "" not in values:
        return values
    wanted = next((provider for provider in registry.offered() if provider.slug == slug), None)
    place = env_file.key_field(wanted) if wanted is not None else None
    if place is None:
        raise ServiceError(
            "invalid_value",
            _("Choose a provider that a single key is enough for."),
            field="provider",
        )
    return {place.name: values[""]}


def _context(tenant_id: UUID, nonce: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "provider": "",
        "base_url": "",
        "name": _NAME,
        "row_id": nonce,
        "version": 1,
    }

"""Import of many keys: a preview, sealed between two requests, then one check after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
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

DEADLINE = 60.0  # seconds for all checks of a request; the rest can be retried
KEPT_FOR = 15 * 60  # seconds that a preview is valid
_PURPOSE, _NAME = "import", "import"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the preview, without secrets.

    stored_as: a credential that seems to have the same key.
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
    """The rows to show, and a token with their values, sealed for this workspace."""

    rows: tuple[Row, ...]
    token: str = dataclass_field(repr=False)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row chosen to be saved, with its provider and the credential's name."""

    number: int
    provider: str
    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a chosen row. is_saved: None if there was no time for it."""

    number: int
    provider: str
    name: str
    is_saved: bool | None
    message: str = ""
    hint: str = ""
    sent: str = ""


def preview(*, tenant: Tenant, text: str, nonce: str) -> Preview:
    """Return the credentials that pasted lines would add.

    Args:
        tenant: The tenant.
        text: The pasted lines.
        nonce: Identifies the preview; its token only opens with it.

    Raises:
        ServiceError: No line has a provider's key.
    """
    candidates = env_file.recognise(env_file.read(text))
    credentials = list(queries.credentials(tenant_id=tenant.pk))
    stored = {(row.provider, row.mask): row.name for row in credentials if row.mask}
    taken = {(row.provider, row.name) for row in credentials}
    rows = tuple(
        _row(number, candidate, stored, taken) for number, candidate in enumerate(candidates)
    )
    secret = {
        str(row.number): candidate.values
        for row, candidate in zip(rows, candidates, strict=True)
        if row.can_be_saved
    }
    if not secret:
        raise ServiceError(
            "nothing_found", _("None of the lines contains a provider's key."), field="text"
        )
    return Preview(rows, keys.seal(**_context(tenant.pk, nonce), text=json.dumps(secret)))


def _row(
    number: int,
    candidate: Candidate,
    stored: Mapping[tuple[str, str], str],
    taken: set[tuple[str, str]],
) -> Row:
    """Build a row and add its name to `taken`, the pairs of provider and name in use."""
    provider = candidate.provider
    label = _free_label(candidate.label, provider, taken)
    taken.add((provider, label))
    secret = _secret_of(candidate)
    mask = keys.mask(secret) if secret else ""
    # A mask without any character of the key does not identify it.
    stored_as = stored.get((provider, mask), "") if mask != keys.mask("") else ""
    return Row(
        number, candidate.lines, candidate.names, candidate.how, provider, label, mask, stored_as
    )


def _free_label(label: str, provider: str, taken: set[tuple[str, str]]) -> str:
    names = [label, *(f"{label} {number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if (provider, name) not in taken)


def _secret_of(candidate: Candidate) -> str:
    if not candidate.provider:
        return candidate.values.get("", "")
    fields = registry.get(candidate.provider).credential_fields
    secrets = (candidate.values.get(field.name) for field in fields if field.secret)
    return next((secret for secret in secrets if secret), "")


def save(
    *,
    tenant: Tenant,
    actor: Actor,
    token: str,
    nonce: str,
    chosen: Sequence[Chosen],
    deadline: float = DEADLINE,
) -> tuple[list[Result], str]:
    """Check and store the chosen rows one by one; a failed check is a result, not an error.

    Args:
        tenant: The tenant.
        actor: Who imports the keys.
        token: The preview's token.
        nonce: The preview's nonce.
        chosen: The rows to save.
        deadline: Seconds after which no further check is started.

    Returns:
        The results, and a token with the values that were not stored, to try again.

    Raises:
        CredentialUnreadable: The token cannot be opened.
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
    for row in chosen:
        values = opened.get(str(row.number))
        if values is None:
            continue
        if time.monotonic() < ends:
            result = _save_row(tenant, actor, row, values)
        else:
            result = Result(row.number, row.provider, row.name, None)
        results.append(result)
        if result.is_saved:
            del opened[str(row.number)]
    left = keys.seal(**_context(tenant.pk, nonce), text=json.dumps(opened)) if opened else ""
    return results, left


def _save_row(tenant: Tenant, actor: Actor, row: Chosen, values: dict[str, str]) -> Result:
    try:
        credential = services.add_credential(
            tenant=tenant,
            actor=actor,
            provider=row.provider,
            name=row.name,
            values=_values_for(row.provider, values),
        )
    except ServiceError as error:
        return Result(
            row.number,
            row.provider,
            row.name,
            False,
            str(error.message),
            getattr(error, "hint", ""),
            str(getattr(error, "what_we_sent", None) or ""),
        )
    message = _saved_message(CredentialState(credential.state))
    return Result(row.number, row.provider, row.name, True, message)


def _saved_message(state: CredentialState) -> str:
    if state is CredentialState.NO_FUNDS:
        return _("Saved, but the account has no credit. Calls fail until it is topped up.")
    if state is CredentialState.UNCHECKED:
        return _("Saved. It will be checked when you add the first model.")
    return _("Checked and saved.")


def _values_for(slug: str, values: dict[str, str]) -> dict[str, str]:
    """Assign a key whose provider was chosen by hand to the provider's key field."""
    if "" not in values:
        return values
    provider = next((provider for provider in registry.offered() if provider.slug == slug), None)
    field = env_file.key_field(provider) if provider is not None else None
    if field is None:
        raise ServiceError(
            "invalid_value",
            _("Choose a provider that needs only one key."),
            field="provider",
        )
    return {field.name: values[""]}


def _context(tenant_id: UUID, nonce: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "provider": "",
        "base_url": "",
        "name": _NAME,
        "row_id": nonce,
        "version": 1,
    }

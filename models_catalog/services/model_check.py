"""Test a model with a minimal call on the workspace's own credential."""

from __future__ import annotations

import time

from django.utils import timezone
from django.utils.translation import gettext as _

from core.errors import Conflict
from models_catalog import queries
from models_catalog.errors import ModelDisabled, ModelNotFound
from models_catalog.resolution.entries import Entry
from providers import queries as provider_queries
from providers.credentials import checking, opening
from providers.credentials.checking import Probe
from providers.declaration import registry
from providers.declaration.spec import ModelType
from tenants.models import Tenant


def try_model(*, tenant: Tenant, name: str) -> int:
    """Call "provider/model" as an application would, but never on a trial.

    Returns:
        The call's duration in milliseconds.

    Raises:
        ModelNotFound, ModelDisabled: The model cannot be called.
        Conflict: The provider has no credential of the workspace's own.
        CredentialRefused, CredentialUnreadable: The call failed.
    """
    slug, model = queries.split(name)
    entry = queries.entry(tenant_id=tenant.pk, provider=slug, model=model)
    if entry is None:
        raise ModelNotFound(name)
    if not entry.enabled:
        raise ModelDisabled(name)
    started = time.monotonic()
    _ask(tenant, entry)
    return round((time.monotonic() - started) * 1000)


def _ask(tenant: Tenant, entry: Entry) -> None:
    provider = registry.get(entry.provider)
    ready = provider_queries.routable_credentials(
        tenant_id=tenant.pk, provider=entry.provider, now=timezone.now()
    )
    row = queries.row(tenant_id=tenant.pk, provider=entry.provider, model=entry.model)
    if not ready and not entry.added:
        text = _("Tests don't use trial calls. Add your own %(provider)s key to test the model.")
        raise Conflict("no_credential", text % {"provider": provider.label})
    credential = ready[0] if ready else None
    access = opening.open_access(credential=credential, purpose="check", model_row=row)
    probe = Probe(entry.model, entry.type or ModelType.REASONING, entry.facts)
    pool_key = str(credential.pk) if credential is not None else f"{tenant.pk}:new"
    checking.check_access(
        provider=provider, access=access, pool_key=pool_key, model=probe, storing=False
    )

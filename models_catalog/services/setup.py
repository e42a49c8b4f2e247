"""Set up a provider and import its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from core.errors import Conflict
from models_catalog.services.adding import draft_model, store_model, try_draft
from models_catalog.services.imports import ImportResult, import_list
from models_catalog.services.validation import provider_label
from providers import queries as provider_queries
from providers.credentials import drafts
from providers.credentials.storing import offered
from providers.models import ProviderCredential
from tenants.audit.trail import Actor, record
from tenants.models import Tenant


def import_models(*, tenant: Tenant, provider: str) -> ImportResult:
    """Fetch the provider's list into the catalog; on failure, the previous list is kept."""
    return import_list(tenant, offered(provider).slug)


def refresh(*, tenant: Tenant, actor: Actor, provider: str) -> ImportResult:
    """Import the provider's list at a user's request.

    Raises:
        Conflict: The provider has no credential.
    """
    declared = offered(provider)
    if (
        declared.list_models is not None
        and not provider_queries.credentials(tenant_id=tenant.pk, provider=provider).exists()
    ):
        raise Conflict(
            "no_credential",
            _("%(provider)s has no credential yet. Add one to fetch its models.")
            % provider_label(declared),
        )
    result = import_list(tenant, provider)
    details = {
        "listed": result.listed,
        "new": result.new,
        "missing": result.missing,
        "error": result.failure.code,
    }
    record(
        tenant=tenant,
        actor=actor,
        action="models.refreshed",
        object_type="provider",
        object_id=provider,
        object_label=provider,
        details=details,
    )
    return result


def set_up_provider(
    *,
    tenant: Tenant,
    actor: Actor,
    provider: str,
    name: str,
    values: Mapping[str, Any],
    base_url: str = "",
    check: bool = True,
    model: Mapping[str, Any] | None = None,
    check_connected: Callable[[], None] = lambda: None,
) -> ProviderCredential:
    """Check and store a credential together with a hosting provider's first model.

    Testing the model is often the only way to check the credential. If anything raises, nothing is
    stored; see `add_credential` and `add_model` for the exceptions.

    Args:
        model: {"model", "type", "values"} as `add_model` takes them, or None.
        check_connected: Called between checking and storing; raises if the client has disconnected.
    """
    drafted = drafts.draft_credential(
        tenant=tenant, provider=provider, name=name, values=values, base_url=base_url, check=check
    )
    draft = None
    if model is not None:
        draft = draft_model(
            tenant,
            provider,
            model["model"],
            model["type"],
            model.get("values") or {},
            model.get("base_url", ""),
            drafted.row,
            check,
        )
    if check:
        drafts.check_draft(drafted)
        if draft is not None:
            try_draft(draft)
    check_connected()
    with transaction.atomic():
        credential = drafts.store_draft(drafted, actor=actor)
        if draft is not None:
            store_model(draft, actor)
    return credential

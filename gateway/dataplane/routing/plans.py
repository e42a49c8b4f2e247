"""The operator's account, with which calls and batches on a trial are made."""

from __future__ import annotations

from providers.credentials import opening
from providers.declaration.spec import Access, Provider
from quotas.trials import plans


def open_plan(provider: Provider, plan_id: int) -> tuple[Access, tuple[str, ...]]:
    """Decrypt a plan's credential; return it with the texts that must not be shown.

    Raises:
        CredentialUnreadable: It cannot be decrypted.
    """
    plan = plans.open_plan_credential(plan_id=plan_id)
    access = Access(values=plan.values, base_url=plan.base_url)
    return access, opening.secret_texts(provider, access)

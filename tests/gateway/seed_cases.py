"""`python -m tests.gateway.seed_cases FILE`: a workspace for every account of the file, written
beside the server; prints their app keys.

{"pair": key pair of all of them, in hex, "accounts": {name: {provider, values, base_url, models:
{model: {type, values, facts}}}}}
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from Crypto.PublicKey import RSA  # noqa: E402

from models_catalog.facts import library  # noqa: E402
from models_catalog.models import TenantModel  # noqa: E402
from models_catalog.services import adding, setup, validation  # noqa: E402
from providers.declaration import registry  # noqa: E402
from providers.declaration.spec import Kind, Provider  # noqa: E402
from providers.models import ProviderCredential  # noqa: E402
from providers.transport import egress  # noqa: E402
from tenants.audit.trail import COMMAND  # noqa: E402
from tenants.config_version import bump_version  # noqa: E402
from tenants.models import Tenant  # noqa: E402
from tenants.scope import tenant_scope  # noqa: E402
from tenants.services.app_keys import create_app_key  # noqa: E402
from tenants.services.workspaces import create_workspace  # noqa: E402
from tests.factories import store_credential  # noqa: E402


def write_account(number: int, account: dict[str, Any]) -> str:
    """The workspace with its credential and models; its app key."""
    tenant = create_workspace(
        slug=f"case-{number}", name=f"Case {number}", owner=None, actor=COMMAND
    )
    declared = registry.get(account["provider"])
    with tenant_scope(tenant):
        credential = None
        if account["values"] or account["base_url"] or declared.local:
            wanted = {
                "provider": declared.slug,
                "values": account["values"],
                "base_url": account["base_url"],
            }
            credential = store_credential(tenant=tenant, name="Main", **wanted)
        for model, told in account["models"].items():
            write_model(tenant, declared, credential, model, told)
        bump_version(tenant.pk)
        return create_app_key(tenant=tenant, actor=COMMAND, name="Cases", scopes=["use"])[1]


def write_model(
    tenant: Tenant,
    declared: Provider,
    credential: ProviderCredential | None,
    model: str,
    told: dict[str, Any],
) -> None:
    is_shipped = declared.kind is Kind.OWN and model in library.shipped(declared.slug).models
    if is_shipped and not told["facts"]:
        return
    cleaned, url = validation.model_values(declared, told["values"], "", credential)
    row = TenantModel(
        tenant=tenant,
        provider=declared.slug,
        model=model,
        type=told["type"],
        base_url=url,
        values=cleaned.public,
    )
    row.origin = TenantModel.Origin.SHIPPED if is_shipped else TenantModel.Origin.ADDED
    row.overrides = told["facts"]
    adding.store_model(adding._Draft(declared, row, dict(cleaned.secret), credential), COMMAND)


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    one_pair = RSA.import_key(bytes.fromhex(asked["pair"]))
    RSA.generate = lambda *_arguments, **_options: one_pair  # type: ignore[assignment]  # making one takes a second or two
    egress.check_url = lambda *_arguments, **_options: None  # type: ignore[assignment]  # addresses are those of the cases
    setup.import_models = lambda **_options: None  # type: ignore[assignment]  # nothing here may call a provider
    keys = {
        name: write_account(number, account)
        for number, (name, account) in enumerate(asked["accounts"].items())
    }
    sys.stdout.write(json.dumps(keys))

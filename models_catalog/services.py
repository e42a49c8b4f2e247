"""Everything that changes a tenant's catalog: import, adding, switches, overrides, default models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from models_catalog import facts, queries, scenarios
from models_catalog.catalog import Entry
from models_catalog.errors import ModelNotFound
from models_catalog.importing import ImportResult, import_list
from models_catalog.models import DefaultModel, TenantModel
from models_catalog.scenarios import Scenario
from providers import fields as provider_fields
from providers import queries as provider_queries
from providers import registry
from providers import services as provider_services
from providers.checking import Probe
from providers.fields import BASE_URL, Values
from providers.models import ProviderCredential
from providers.spec import Access, Field, ModelType, Provider
from tenants.audit import Actor, record
from tenants.errors import Conflict, NotFound, ServiceError
from tenants.models import Tenant
from tenants.versions import bump_version

__all__ = [
    "ImportResult",
    "add_model",
    "change_model",
    "clear_default",
    "import_models",
    "override",
    "refresh",
    "remove_model",
    "set_default",
    "set_enabled",
    "set_many_enabled",
    "set_up_provider",
]

MOST_FALLBACKS = 10


# ------------------------------------------------------------------------------------------------ import


def import_models(*, tenant: Tenant, provider: str) -> ImportResult:
    """Fetch the provider's own list and merge it into the catalog. A list that cannot be had leaves the older one."""
    return import_list(tenant, _known(provider).slug)


def refresh(*, tenant: Tenant, actor: Actor, provider: str) -> ImportResult:
    """`import_models` because a person asked for it. Raises Conflict where there is no credential to ask with."""
    declared = _known(provider)
    if declared.list_models is not None and not provider_queries.credentials(tenant_id=tenant.pk, provider=provider).exists():
        raise Conflict("no_credential", _("%(provider)s has no credential yet, so it cannot be asked for its models.") % _named(declared))
    result = import_list(tenant, provider)
    details = {"listed": result.listed, "new": result.new, "missing": result.missing, "error": result.failure.code}
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


# ------------------------------------------------------------------------------------------------ added by hand


def add_model(
    *,
    tenant: Tenant,
    actor: Actor,
    provider: str,
    model: str,
    type: ModelType | str,
    values: Mapping[str, Any] | None = None,
    base_url: str = "",
    check: bool = True,
) -> TenantModel:
    """Add one model: a hosted one with its own fields, or one more of any provider. It is tried first, as a call would.

    values: the provider's model fields; a key or base URL of the model's own where it differs from the credential's.
    Raises Conflict for a model that is there, CredentialRefused where the try failed, ServiceError for wrong values, and
    CredentialUnreadable; nothing is stored then. check=False only where the provider allows it.
    """
    credential = next(iter(provider_queries.credentials(tenant_id=tenant.pk, provider=provider)), None)
    draft = _draft_model(tenant, provider, model, type, values or {}, base_url, credential, check)
    if check:
        _try_draft(draft)
    return _store_model(draft, actor)


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
    still_wanted: Callable[[], None] = lambda: None,
) -> ProviderCredential:
    """Store a credential together with the first model of a hosting provider: both are checked first, then both are stored.

    model: {"model", "type", "values"} as `add_model` takes them, None for none. The model is tried with the credential, which is
    often the only check there is. still_wanted: called between the checks and the storing; raises where nobody waits any more.
    Raises what add_credential, add_model and `still_wanted` raise; nothing is stored then.
    """
    drafted = provider_services.draft_credential(tenant=tenant, provider=provider, name=name, values=values, base_url=base_url, check=check)
    draft = None
    if model is not None:
        draft = _draft_model(
            tenant, provider, model["model"], model["type"], model.get("values") or {}, model.get("base_url", ""), drafted.row, check
        )
    if check:
        provider_services.check_draft(drafted)
        if draft is not None:
            _try_draft(draft)
    still_wanted()
    with transaction.atomic():
        credential = provider_services.store_draft(drafted, actor=actor)
        if draft is not None:
            _store_model(draft, actor)
    return credential


@dataclass(frozen=True, slots=True)
class _Draft:
    """A model that is not stored. credential: the stored or drafted one that calls of it go with."""

    provider: Provider
    row: TenantModel
    secret: dict[str, str] = field(repr=False)
    credential: ProviderCredential | None


def _draft_model(
    tenant: Tenant,
    provider: str,
    model: str,
    type: ModelType | str,
    values: Mapping[str, Any],
    base_url: str,
    credential: ProviderCredential | None,
    check: bool,
) -> _Draft:
    """Everything that can be refused without asking anybody is refused here."""
    declared = _known(provider)
    name, kind = _model_name(model), _type(declared, type)
    if not check and not declared.allow_unchecked:
        raise ServiceError("check_required", _("%(provider)s models are checked before they are added.") % _named(declared))
    _refuse_known(tenant, declared, name)
    cleaned, url = _model_values(declared, values, base_url, credential)
    row = TenantModel(
        tenant=tenant,
        provider=provider,
        model=name,
        type=kind.value,
        origin=TenantModel.Origin.ADDED,
        base_url=url,
        values=cleaned.public,
        mask=provider_services.mask_of(_model_fields(declared), cleaned.secret),
    )
    return _Draft(declared, row, dict(cleaned.secret), credential)


def _try_draft(draft: _Draft) -> None:
    """Ask the model something, as a call would. Raises CredentialRefused, CredentialUnreadable."""
    row, credential = draft.row, draft.credential
    opened = provider_services.open_access(credential=credential, purpose="check", model_row=row)
    # The row is not sealed yet: its secrets are laid over what the credential gave.
    access = Access(
        values=dict(opened.values) | draft.secret, base_url=opened.base_url, model_values=dict(opened.model_values) | draft.secret
    )
    pool_key = str(credential.pk) if credential is not None and not row.base_url else f"{row.tenant_id}:new"
    probe = Probe(row.model, ModelType(row.type), queries.facts_of(row))
    provider_services.check_access(provider=draft.provider, access=access, pool_key=pool_key, model=probe)


def _store_model(draft: _Draft, actor: Actor) -> TenantModel:
    row = draft.row
    row.sealed = provider_services.seal_values(
        tenant_id=row.tenant_id,
        provider=row.provider,
        base_url=row.base_url,
        name=provider_services.MODEL_ENVELOPE,
        row_id=row.pk,
        version=row.version,
        secret=draft.secret,
    )
    try:
        with transaction.atomic():
            bump_version(row.tenant_id)
            row.save(force_insert=True)
            _audit(row.tenant, actor, "model.added", row.provider, row.model, {"type": row.type, "base_url": row.base_url})
    except IntegrityError:
        raise _already_there(row.model) from None
    return row


def remove_model(*, tenant: Tenant, actor: Actor, provider: str, model: str) -> tuple[str, ...]:
    """Remove a model that was added by hand. Returns the scenarios whose default it was: they have none now."""
    row = queries.row(tenant_id=tenant.pk, provider=provider, model=model)
    if row is None or row.origin != TenantModel.Origin.ADDED:
        if queries.entry(tenant_id=tenant.pk, provider=provider, model=model) is None:
            raise ModelNotFound(f"{provider}/{model}")
        raise Conflict("not_added", _("This model is the provider's own: switch it off instead of deleting it."))
    with transaction.atomic():
        bump_version(tenant.pk)
        row.delete()
        stopped = _drop_from_defaults(tenant, f"{provider}/{model}")
        _audit(tenant, actor, "model.removed", provider, model, {"defaults_cleared": list(stopped)})
    return stopped


# ------------------------------------------------------------------------------------------------ switches and overrides


def set_enabled(*, tenant: Tenant, actor: Actor, provider: str, model: str, enabled: bool) -> Entry:
    """Switch a model on or off for this tenant. Raises ModelNotFound."""
    return change_model(tenant=tenant, actor=actor, provider=provider, model=model, enabled=enabled)


def set_many_enabled(*, tenant: Tenant, actor: Actor, provider: str, models: Sequence[str], enabled: bool) -> int:
    """Switch several models of a provider; all are known or none is switched. Returns how many there were."""
    with transaction.atomic():
        for model in dict.fromkeys(models):
            set_enabled(tenant=tenant, actor=actor, provider=provider, model=model, enabled=enabled)
    return len(set(models))


def override(*, tenant: Tenant, actor: Actor, provider: str, model: str, overrides: Mapping[str, Any]) -> Entry:
    """Set the tenant's own facts of a model; None takes one back. Raises ModelNotFound, and BadFact for what cannot be."""
    return change_model(tenant=tenant, actor=actor, provider=provider, model=model, **overrides)


def change_model(*, tenant: Tenant, actor: Actor, provider: str, model: str, enabled: bool | None = None, **overrides: Any) -> Entry:
    """Switch a model and override facts at once: the row is made where there is none yet."""
    parsed = facts.parse(overrides)
    with transaction.atomic():
        bump_version(tenant.pk)
        row = _own_row(tenant, provider, model)
        kept = {name: value for name, value in row.overrides.items() if name not in parsed}
        changed: dict[str, Any] = {"overrides": kept | facts.dump(parsed)} if parsed else {}
        if enabled is not None:
            changed["enabled"] = enabled
        for name, value in changed.items():
            setattr(row, name, value)
        row.save(update_fields=list(changed)) if changed else None
        if enabled is not None:
            _audit(tenant, actor, "model.enabled" if enabled else "model.disabled", provider, model)
        if parsed:
            _audit(tenant, actor, "model.overridden", provider, model, {"facts": sorted(parsed)})
    found = queries.entry(tenant_id=tenant.pk, provider=provider, model=model)
    assert found is not None, "its row was just written"
    return found


def _own_row(tenant: Tenant, provider: str, model: str) -> TenantModel:
    row = queries.row(tenant_id=tenant.pk, provider=provider, model=model)
    if row is not None:
        return row
    known = queries.entry(tenant_id=tenant.pk, provider=provider, model=model)
    if known is None:
        raise ModelNotFound(f"{provider}/{model}")
    kind = known.type.value if known.type else ""
    return TenantModel.objects.create(tenant=tenant, provider=provider, model=model, type=kind)


# ------------------------------------------------------------------------------------------------ default models


def set_default(*, tenant: Tenant, actor: Actor, scenario: str, model: str, fallbacks: Sequence[str] = ()) -> DefaultModel:
    """Choose the model of a scenario, and what to try in order when it fails: enabled models of the fitting type only."""
    wanted = _scenario(scenario)
    if len(fallbacks) > MOST_FALLBACKS:
        raise ServiceError("invalid_value", _("Name at most %(most)s fallbacks.") % {"most": MOST_FALLBACKS}, field="fallbacks")
    names = [model, *fallbacks]
    if len(set(names)) != len(names):
        raise ServiceError("invalid_value", _("Name every model once."), field="fallbacks")
    usable = {one.id: one for one in queries.entries(tenant_id=tenant.pk)}
    for place, name in enumerate(names):
        _check_fits(wanted, name, usable.get(name), "fallbacks" if place else "model")
    with transaction.atomic():
        bump_version(tenant.pk)
        row, _made = DefaultModel.objects.update_or_create(
            tenant=tenant, scenario=wanted.slug, defaults={"model": model, "fallbacks": list(fallbacks)}
        )
        _audit_default(tenant, actor, "default.set", wanted, {"model": model, "fallbacks": list(fallbacks)})
    chosen: DefaultModel = row
    return chosen


def clear_default(*, tenant: Tenant, actor: Actor, scenario: str) -> None:
    """Leave a scenario without a model; doing so twice is no error."""
    wanted = _scenario(scenario)
    with transaction.atomic():
        bump_version(tenant.pk)
        deleted, _each = DefaultModel.objects.filter(tenant_id=tenant.pk, scenario=wanted.slug).delete()
        if deleted:
            _audit_default(tenant, actor, "default.cleared", wanted)


def _check_fits(wanted: Scenario, name: str, entry: Entry | None, field: str) -> None:
    values = {"model": str(name)[:241], "label": wanted.label}
    if entry is None:
        raise ServiceError("model_not_found", _("There is no model “%(model)s” in this workspace.") % values, field, 400)
    if not entry.enabled:
        raise ServiceError("model_disabled", _("%(model)s is switched off. Switch it on first.") % values, field=field)
    if entry.type is not wanted.type:
        raise ServiceError("wrong_type", _("%(model)s is of another type than “%(label)s” needs.") % values, field=field)


def _drop_from_defaults(tenant: Tenant, name: str) -> tuple[str, ...]:
    stopped: list[str] = []
    for row in DefaultModel.objects.filter(tenant_id=tenant.pk):
        if row.model == name:
            stopped.append(row.scenario)
            row.delete()
        elif name in row.fallbacks:
            row.fallbacks = [other for other in row.fallbacks if other != name]
            row.save(update_fields=["fallbacks", "updated"])
    return tuple(stopped)


# ------------------------------------------------------------------------------------------------ helpers


def _known(slug: str) -> Provider:
    for provider in registry.offered():
        if provider.slug == slug:
            return provider
    raise NotFound("unknown_provider", _("There is no provider “%(slug)s” here.") % {"slug": slug[:60]})


def _named(provider: Provider) -> dict[str, Any]:
    return {"provider": provider.label}


def _scenario(slug: str) -> Scenario:
    found = scenarios.find(slug)
    if found is None:
        raise NotFound("unknown_scenario", _("There is no scenario “%(slug)s”.") % {"slug": slug[:40]}, field="scenario")
    return found


def _model_name(text: Any) -> str:
    name = text.strip() if isinstance(text, str) else ""
    if not name or len(name) > 200 or not name.isprintable() or " " in name:
        raise ServiceError("invalid_value", _("A model's name has 1 to 200 characters and no blanks."), field="model")
    return name


def _type(provider: Provider, value: Any) -> ModelType:
    try:
        kind = ModelType(value)
    except ValueError:
        raise ServiceError("invalid_value", _("There is no such type of model."), field="type") from None
    if kind not in provider.model_types:
        raise ServiceError("invalid_value", _("%(provider)s models of this type cannot be called.") % _named(provider), field="type")
    return kind


def _refuse_known(tenant: Tenant, provider: Provider, name: str) -> None:
    if queries.entry(tenant_id=tenant.pk, provider=provider.slug, model=name) is not None:
        raise _already_there(name)


def _already_there(name: str) -> Conflict:
    return Conflict("model_exists", _("The model “%(model)s” is there already.") % {"model": name}, field="model")


def _model_fields(provider: Provider) -> tuple[Field, ...]:
    """What a model may bring along: the fields declared for models, and secrets of the credential as its own ones."""
    own = tuple(field for field in provider.model_fields if field.name != BASE_URL)
    names = {field.name for field in own}
    return own + tuple(field for field in provider.credential_fields if field.secret and field.name not in names)


def _model_values(
    provider: Provider, values: Mapping[str, Any], base_url: str, credential: ProviderCredential | None
) -> tuple[Values, str]:
    typed = dict(values)
    among = typed.pop(BASE_URL, "")
    url = base_url or (among if isinstance(among, str) else "")
    declared = {field.name for field in provider.model_fields}
    cleaned = provider_fields.clean(
        tuple(field for field in _model_fields(provider) if field.name in declared or typed.get(field.name)), typed
    )
    if url:
        return cleaned, provider_fields.clean_base_url(provider, url)
    if credential is None and (not cleaned.secret or not provider.default_base_url) and not provider.local:
        raise Conflict(
            "no_credential", _("Set up %(provider)s first, or give the model a key and a base URL of its own.") % _named(provider)
        )
    # A key of the model's own is bound to the address it is used with, so that address is written down with it.
    return cleaned, credential.base_url if credential is not None and cleaned.secret else ""


def _audit(tenant: Tenant, actor: Actor, action: str, provider: str, model: str, details: Mapping[str, Any] | None = None) -> None:
    name = f"{provider}/{model}"
    record(tenant=tenant, actor=actor, action=action, object_type="model", object_id=name[:80], object_label=name[:160], details=details)


def _audit_default(tenant: Tenant, actor: Actor, action: str, scenario: Scenario, details: Mapping[str, Any] | None = None) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="default_model",
        object_id=scenario.slug,
        object_label=scenario.slug,
        details=details,
    )

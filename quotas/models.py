"""Trial plans, credits and the ledger of calls."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.ids import uuid7
from quotas.usage import latency_buckets
from tenants.models import TenantOwned, User


class TrialPlan(models.Model):
    """Free calls to one provider, paid with the operator's credential; belongs to no tenant."""

    slug = models.SlugField(_("plan"), max_length=40, unique=True)
    label = models.CharField(_("label"), max_length=80)
    provider = models.CharField(_("provider"), max_length=40)
    limit = models.PositiveIntegerField(_("credits per workspace"))
    is_on = models.BooleanField(_("switched on"), default=False)
    base_url = models.CharField(_("base URL"), max_length=300, blank=True)
    values = models.JSONField(default=dict, blank=True, editable=False)
    # encrypted for the operators' own tenant
    sealed = models.TextField(blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    mask = models.CharField(_("key"), max_length=40, blank=True, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("trial plan")
        verbose_name_plural = _("trial plans")

    def __str__(self) -> str:
        return self.label

    @property
    def has_credential(self) -> bool:
        """Whether the operator entered a credential that pays for the plan."""
        return bool(self.sealed or self.values or self.base_url)


class TrialPlanModel(models.Model):
    plan = models.ForeignKey(TrialPlan, on_delete=models.CASCADE, related_name="models")
    model = models.CharField(_("model"), max_length=200)
    credits = models.PositiveIntegerField(_("credits per call"), default=1)

    class Meta:
        verbose_name = _("plan model")
        verbose_name_plural = _("plan models")
        constraints = (
            models.UniqueConstraint(fields=("plan", "model"), name="plan_model_once"),
            models.CheckConstraint(condition=Q(credits__gte=1), name="plan_model_credits_positive"),
        )

    def __str__(self) -> str:
        return f"{self.model} ({self.credits})"


class CreditPool(TenantOwned):
    """A tenant's credits of one plan; the database enforces settled + held <= limit."""

    plan = models.ForeignKey(TrialPlan, on_delete=models.PROTECT, related_name="pools")
    limit = models.PositiveBigIntegerField(_("limit"), default=0)
    # The part of the limit that comes from the plan rather than individual grants; it follows the
    # plan's limit.
    plan_share = models.PositiveBigIntegerField(_("from the plan"), default=0)
    settled = models.PositiveBigIntegerField(_("used"), default=0)
    held = models.PositiveBigIntegerField(_("held"), default=0)

    class Meta:
        verbose_name = _("trial credits")
        verbose_name_plural = _("trial credits")
        constraints = (
            models.UniqueConstraint(fields=("tenant", "plan"), name="credit_pool_once"),
            models.CheckConstraint(
                condition=Q(settled__gte=0, held__gte=0, limit__gte=F("settled") + F("held")),
                name="credit_pool_at_most_limit",
            ),
        )

    def __str__(self) -> str:
        return f"{self.plan}: {self.left} / {self.limit}"

    @property
    def left(self) -> int:
        return self.limit - self.settled - self.held


class Hold(TenantOwned):
    """Credits reserved for one call; settled or voided exactly once."""

    class State(models.TextChoices):
        HELD = "held", _("Held")
        SETTLED = "settled", _("Settled")
        VOIDED = "voided", _("Voided")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey(CreditPool, on_delete=models.PROTECT, related_name="holds")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    amount = models.PositiveIntegerField()
    used = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State, default=State.HELD)
    reason = models.CharField(max_length=60, blank=True)
    # set before the request is sent; tells the reaper whether to charge
    sent = models.BooleanField(default=False)
    model = models.CharField(max_length=200)
    request_id = models.CharField(max_length=64)
    # fields of the call record if the process dies: operation, app_key_id, ...
    facts = models.JSONField(default=dict, blank=True)
    created = models.DateTimeField(default=timezone.now)
    expires = models.DateTimeField()

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        constraints = (
            models.UniqueConstraint(fields=("pool", "key"), name="hold_key_once"),
            models.CheckConstraint(
                condition=Q(amount__gt=0, used__gte=0, used__lte=F("amount")),
                name="hold_used_at_most_amount",
            ),
            models.CheckConstraint(
                condition=Q(state="settled") | Q(state__in=("held", "voided"), used=0),
                name="hold_uses_credits_only_when_settled",
            ),
            models.CheckConstraint(
                condition=Q(expires__gt=F("created")), name="hold_expires_later"
            ),
        )
        indexes = (
            models.Index(fields=("expires",), condition=Q(state="held"), name="hold_open_expires"),
        )

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"


class Grant(TenantOwned):
    """A change to a pool's limit and its reason. Every change to a limit has such a row."""

    pool = models.ForeignKey(CreditPool, on_delete=models.PROTECT, related_name="grants")
    amount = models.BigIntegerField(_("credits"))
    reason = models.CharField(_("reason"), max_length=200)
    actor = models.CharField(_("who"), max_length=160)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("grant")
        verbose_name_plural = _("grants")
        ordering = ("-created", "-id")
        constraints = (
            models.CheckConstraint(condition=~Q(amount=0), name="grant_changes_something"),
        )

    def __str__(self) -> str:
        return f"{self.amount:+d} ({self.reason})"


class CallRecord(TenantOwned):
    """A finished call; triggers reject updates and deletions.

    A migration that alters this table must recreate the triggers afterwards: SQLite rebuilds the
    table without them.
    """

    class Status(models.TextChoices):
        OK = "ok", _("OK")
        ERROR = "error", _("Error")
        CANCELLED = "cancelled", _("Cancelled")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)  # sorts by time
    request_id = models.CharField(_("request"), max_length=64)
    time = models.DateTimeField(_("time"), default=timezone.now)
    # No index of its own: both indexes below start with it.
    tenant = models.ForeignKey(
        "tenants.Tenant",
        on_delete=models.PROTECT,
        verbose_name=_("workspace"),
        related_name="+",
        db_index=False,
    )
    # no foreign keys: a record outlives the rows it refers to
    app_key_id = models.UUIDField(null=True, blank=True)
    app_key_name = models.CharField(_("app key"), max_length=80, blank=True)
    user = models.ForeignKey(
        User,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name="+",
    )
    operation = models.CharField(max_length=24)  # providers.declaration.spec.Operation
    scenario = models.CharField(_("scenario"), max_length=20, blank=True)
    provider = models.CharField(_("provider"), max_length=40, blank=True)
    model = models.CharField(_("model"), max_length=200, blank=True)
    # "credential:<name>" or "trial:<plan>"
    source = models.CharField(_("served by"), max_length=100, blank=True)
    credential_id = models.UUIDField(null=True, blank=True)
    hold = models.OneToOneField(
        Hold, on_delete=models.PROTECT, null=True, blank=True, related_name="record"
    )
    stream = models.BooleanField(default=False)
    prompt_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    completion_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    cached_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    # None if the call was not for images
    images = models.PositiveSmallIntegerField(null=True, blank=True)
    # What few calls have: quantities.rare. None if nothing, and in records of older releases.
    quantities = models.JSONField(null=True, blank=True)
    # "" or None if there was no price. A default would make SQLite copy the table.
    price_version = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    usage_source = models.CharField(max_length=9, default="none")  # reported, estimated, none
    credits = models.PositiveIntegerField(_("credits"), default=0)
    # None if unpriced
    cost = models.DecimalField(_("cost"), max_digits=20, decimal_places=10, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    status = models.CharField(_("status"), max_length=9, choices=Status)
    http_status = models.PositiveSmallIntegerField(default=200)  # status sent to the client
    error_code = models.CharField(_("error"), max_length=40, blank=True)
    # What the provider said of the last attempt that failed, and the field that it named. NULL
    # where there is nothing to tell: releases before these columns write nothing into them.
    error_message = models.CharField(max_length=500, null=True, blank=True)  # noqa: DJ001
    error_param = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001
    finish_reason = models.CharField(max_length=20, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=1)
    # [{provider, model, source, failure, status, ms}], with message and param if it failed
    attempt_log = models.JSONField(default=list, blank=True)
    latency_ms = models.PositiveIntegerField(_("latency, ms"), default=0)
    first_token_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = _("call record")
        verbose_name_plural = _("call records")
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("tenant", "-id"), name="call_tenant_newest"),
            models.Index(fields=("tenant", "time"), name="call_tenant_time"),
            models.Index(fields=("request_id",), name="call_request"),
            # for the operators' filters: an ordinary call costs it a comparison
            models.Index(fields=("status", "-id"), condition=~Q(status="ok"), name="call_not_ok"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(hold__isnull=False) | Q(credits=0), name="call_credits_need_a_hold"
            ),
            models.CheckConstraint(
                condition=Q(cost=None) | ~Q(currency=""), name="call_cost_has_a_currency"
            ),
        )

    def __str__(self) -> str:
        return self.request_id


# -- rollups ---------------------------------------------------------------------------------------


class Span(models.IntegerChoices):
    """Length of a rollup in hours; rollups start at full hours or days in UTC."""

    HOUR = 1
    DAY = 24


class UsageRollup(TenantOwned):
    """Totals of one hour's or day's calls (UTC), grouped by columns.GROUPS.

    Only quotas/usage/rollups.py writes them.
    """

    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    span = models.PositiveSmallIntegerField(choices=Span)
    start = models.DateTimeField()
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    source = models.CharField(max_length=100)
    app_key_name = models.CharField(max_length=80)
    user = models.ForeignKey(
        User,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    scenario = models.CharField(max_length=20)
    status = models.CharField(max_length=9)
    error_code = models.CharField(max_length=40)
    currency = models.CharField(max_length=3)
    calls = models.PositiveBigIntegerField()
    priced = models.PositiveBigIntegerField()  # calls whose cost is known
    counted = models.PositiveBigIntegerField()  # calls with a known token count
    prompt_tokens = models.PositiveBigIntegerField()
    completion_tokens = models.PositiveBigIntegerField()
    # The release before, which runs on while the tables are already migrated, doesn't know it.
    images = models.PositiveBigIntegerField(db_default=0)
    credits = models.PositiveBigIntegerField()
    cost_steps = models.BigIntegerField()  # in units of the last decimal place of a record's cost
    latency_min = models.PositiveIntegerField()
    latency_max = models.PositiveIntegerField()

    class Meta:
        verbose_name = _("usage rollup")
        verbose_name_plural = _("usage rollups")
        indexes = (
            models.Index(fields=("tenant", "span", "start"), name="rollup_of_tenant"),
            # for when a model was last called
            models.Index(
                fields=("tenant", "provider", "model", "span", "start"), name="rollup_of_model"
            ),
        )

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H} {self.provider}/{self.model}: {self.calls}"


for _column in latency_buckets.COLUMNS:
    UsageRollup.add_to_class(_column, models.PositiveBigIntegerField(default=0))


class RolledUntil(TenantOwned):
    """How far a tenant's rollups reach: all earlier hours not in StaleHour are up to date."""

    until = models.DateTimeField()
    # Records of earlier calls were archived and deleted; their rollups are all there is. A record
    # that comes later still is in no rollup before it is deleted in its turn. The database deletes
    # no other records.
    pruned = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("tenant",), name="rolled_until_once"),)

    def __str__(self) -> str:
        return f"{self.until:%Y-%m-%d %H}"


class SealedCredits(TenantOwned):
    """What the deleted calls of a pool and month used, so that its credits still add up."""

    pool = models.ForeignKey(CreditPool, on_delete=models.PROTECT, related_name="+")
    month = models.DateField()
    calls = models.PositiveBigIntegerField(default=0)
    credits = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant", "pool", "month"), name="sealed_credits_once"),
        )

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}: {self.credits}"


class StaleHour(TenantOwned):
    """An hour with a late call record, written more than an hour after its call.

    A trigger adds one row per late record in the record's transaction. Rolling the hour up first
    deletes the rows it sees, so rows are never shared or updated.
    """

    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    start = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("tenant", "start"), name="stale_of_tenant"),)

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H}"


from quotas.rating.models import CostCorrection as CostCorrection  # noqa: E402  (refers to above)
from quotas.rating.models import Rating as Rating  # noqa: E402

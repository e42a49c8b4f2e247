"""Admin pages for the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy

from core.admin.columns import coded, shown
from core.admin.filters import choice_filter
from core.admin.log import LogAdmin
from core.admin.search import equals
from core.db.batches import newest_first
from tenants.admin.csv import as_csv
from tenants.admin.search import by_workspace
from tenants.audit.labels import AUDIT_KINDS, actor_label
from tenants.models import AuditEntry

KindFilter = choice_filter(
    "action",
    gettext_lazy("action"),
    lambda: [*AUDIT_KINDS, ("operations", gettext_lazy("Exports"))],
    lambda kind: Q(action__startswith=kind),
)


AUDIT_ACTOR = coded("actor", gettext_lazy("who"), actor_label)


@admin.register(AuditEntry)
class AuditEntryAdmin(LogAdmin[AuditEntry]):
    list_display = ("time", "tenant", AUDIT_ACTOR, "what", "about", "address")
    list_filter = (KindFilter, "time")
    search_fields = ("actor", "object_label", "tenant")
    search_by = (equals("actor"), by_workspace, equals("object_label"))
    search_help_text = gettext_lazy(
        "The full e-mail address or label of who did it, a workspace's address or name, or the "
        "full name of an object."
    )
    list_select_related = ("tenant",)
    by_age = "time"
    fields = (
        ("time", "tenant"),
        (AUDIT_ACTOR, "address"),
        ("what", "about"),
        "facts",
        "code",
    )
    actions = ("export",)

    @admin.display(description=gettext_lazy("action"), ordering="action")
    def what(self, entry: AuditEntry) -> str:
        return str(entry.sentence)

    @admin.display(description=gettext_lazy("object"), ordering="object_label")
    def about(self, entry: AuditEntry) -> str:
        return str(entry.about) or "-"

    @admin.display(description=gettext_lazy("code"))
    def code(self, entry: AuditEntry) -> Any:
        """Show the codes, for searching in logs and programs."""
        codes = [text for text in (entry.action, entry.object_type, entry.object_id) if text]
        return format_html_join(" ", "<code>{}</code>", ((text,) for text in codes))

    @admin.display(description=gettext_lazy("details"))
    def facts(self, entry: AuditEntry) -> Any:
        return shown({str(label): value for label, value in entry.facts})

    @admin.action(description=gettext_lazy("Download as CSV"), permissions=["view"])
    def export(self, request: HttpRequest, rows: QuerySet[AuditEntry]) -> Any:
        header = (
            "time",
            "workspace",
            "who",
            "action",
            "object_type",
            "object_id",
            "object",
            "ip_address",
            "details",
        )
        return as_csv(request, name="audit", header=header, rows=_audit_rows(rows))


def _audit_rows(rows: QuerySet[AuditEntry]) -> Iterator[tuple[Any, ...]]:
    columns = (
        "time",
        "tenant__slug",
        "actor",
        "action",
        "object_type",
        "object_id",
        "object_label",
        "address",
        "details",
    )
    for time, *others in newest_first(rows.select_related(None), *columns):
        yield (time.isoformat(), *others)

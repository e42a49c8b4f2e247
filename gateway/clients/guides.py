"""Guides: how to set up each known client, with the values of an installation filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from core.markdown import answer_html
from gateway.clients import table
from gateway.clients.snippets import Sample, Values, fill, label
from gateway.clients.table import Client, Run
from gateway.dataplane.doors.registry import DOORS
from providers.declaration.spec import Operation


@dataclass(frozen=True, slots=True)
class Guide:
    """One client's setup, in the active language.

    Args:
        endpoint: The path that it calls.
        samples: What to copy, in the order of the steps.
        evidence: When it was run, or what the settings follow if it wasn't, in Markdown.
    """

    client: Client
    endpoint: str
    samples: Sequence[Sample]
    evidence: str

    @property
    def about(self) -> SafeString:
        return answer_html(f"{self.client.note}\n\n{self.evidence}")


@dataclass(frozen=True, slots=True)
class GuideGroup:
    label: Any
    guides: Sequence[Guide]


def guides(values: Values) -> list[GuideGroup]:
    return [
        GuideGroup(group.label, [_guide(client, values) for client in group.clients])
        for group in table.groups()
    ]


def _guide(client: Client, values: Values) -> Guide:
    samples = [
        Sample(f"{client.slug}-{number}", label(snippet), fill(snippet, values))
        for number, snippet in enumerate(client.snippets)
    ]
    return Guide(client, endpoint(client), samples, evidence(client))


def endpoint(client: Client) -> str:
    return f"/v1/{DOORS[client.door].path_of(Operation.CHAT)}"


def takes_version(client: Client) -> bool:
    """Tell whether the base URL that the client expects ends in /v1."""
    return any("{{base_url}}" in snippet.text for snippet in client.snippets)


def evidence(client: Client) -> str:
    proof = client.evidence
    day = date_format(proof.date)
    if isinstance(proof, Run):
        return _("Tried with %(name)s %(version)s on %(day)s.") % {
            "name": f"`{proof.package}`" if proof.package else client.name,
            "version": proof.version,
            "day": day,
        }
    return _("Not tried. The settings follow %(source)s as of %(day)s.") % {
        "source": proof.title,
        "day": day,
    }

"""The guides to known clients as Markdown, for the help and for docs/clients.md."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

from gateway.clients.guides import Guide, guides, takes_version
from gateway.clients.snippets import LANGUAGES, Values
from gateway.clients.table import Run
from help.generated import table
from models_catalog.scenarios import ANY_DEFAULT


def markdown(address: str) -> str:
    """Return an overview and a section for each client, in the active language.

    Args:
        address: The installation's address in the examples.
    """
    groups = guides(Values(f"{address}/v1", ANY_DEFAULT))
    blocks = [_overview([guide for group in groups for guide in group.guides], address)]
    for group in groups:
        blocks.append(f"## {group.label}")
        blocks += ["\n\n".join(_section(guide)) for guide in group.guides]
    return "\n\n".join(blocks)


def _overview(every: Iterable[Guide], address: str) -> str:
    head = (_("Application"), _("Endpoint"), _("Base URL"), _("Tried with"))
    return table(head, (_row(guide, address) for guide in every))


def _row(guide: Guide, address: str) -> tuple[str, ...]:
    client = guide.client
    base_url = f"{address}/v1" if takes_version(client) else address
    proof = client.evidence
    tried = "–"
    if isinstance(proof, Run):
        tried = f"`{proof.package}` {proof.version}" if proof.package else proof.version
    return f"[{client.name}](#{client.slug})", f"`{guide.endpoint}`", f"`{base_url}`", tried


def _section(guide: Guide) -> Iterable[str]:
    client = guide.client
    yield f"### {client.name}"
    for sample, snippet in zip(guide.samples, client.snippets, strict=True):
        yield f"**`{sample.label}`**" if snippet.file else f"**{sample.label}**"
        yield f"```{LANGUAGES[snippet.language].fence}\n{sample.text}\n```"
    yield str(client.note)
    link = _("Documentation of %(name)s") % {"name": client.name}
    yield f"{guide.evidence} [{link}]({client.website})"

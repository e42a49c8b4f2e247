"""Form of a default model and its fallbacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.http import QueryDict
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from core.web.forms import PageForm
from models_catalog.queries import DefaultChoice
from models_catalog.resolution.catalog import Entry
from models_catalog.services.defaults import MOST_FALLBACKS


class LongSelect(forms.Select):
    """A select of many options. Django renders a template for each option, which took a third of a
    second for 500 models.
    """

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        chosen = set(self.format_value(value))
        pieces: list[str] = [
            format_html(
                "<select{}>", flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name}))
            )
        ]
        for key, label in self.choices:
            if isinstance(label, list | tuple):
                pieces.append(f'<optgroup label="{escape(key)}">')
                pieces += [_option_html(one, text, chosen) for one, text in label]
                pieces.append("</optgroup>")
            else:
                pieces.append(_option_html(key, label, chosen))
        pieces.append("</select>")
        return mark_safe("".join(pieces))  # noqa: S308  every part is escaped above


def _option_html(value: Any, label: Any, chosen: set[str]) -> str:
    return f'<option value="{escape(value)}"{" selected" if str(value) in chosen else ""}>{escape(label)}</option>'


@dataclass(frozen=True, slots=True)
class FallbackPlace:
    """A place in the order of fallbacks. taken: how many places hold a model."""

    field: forms.BoundField
    place: int
    taken: int

    @property
    def is_taken(self) -> bool:
        return self.place < self.taken

    @property
    def is_first(self) -> bool:
        return self.place == 0

    @property
    def is_last(self) -> bool:
        return self.place == self.taken - 1


def rearranged(posted: QueryDict) -> QueryDict:
    """The form of default models after one of its buttons, which save as well:
    "up:<scenario>:<place>", "down:...", "remove:...", and "use:<scenario>:<model>" for a model that
    the page suggested.
    """
    what, _colon, rest = posted.get("do", "").partition(":")
    if what == "use":
        return _with_suggestion(posted, *rest.partition(":")[::2])
    scenario, _colon, place = rest.rpartition(":")
    if (
        what not in ("up", "down", "remove")
        or not place.isdecimal()
        or int(place) >= MOST_FALLBACKS
    ):
        return posted
    changed = posted.copy()
    names = _fallback_names(scenario)
    here, there = int(place), int(place) + {"up": -1, "down": 1, "remove": 0}[what]
    if what == "remove":
        changed[names[here]] = ""
    elif 0 <= there < MOST_FALLBACKS and posted.get(names[there]):
        changed[names[here]], changed[names[there]] = (
            posted.get(names[there], ""),
            posted.get(names[here], ""),
        )
    return changed


def _with_suggestion(posted: QueryDict, scenario: str, model: str) -> QueryDict:
    """The model becomes the default; where it was a fallback, it no longer is."""
    changed = posted.copy()
    changed[f"{scenario}-model"] = model
    for name in _fallback_names(scenario):
        if changed.get(name) == model:
            changed[name] = ""
    return changed


def _fallback_names(scenario: str) -> list[str]:
    return [f"{scenario}-fallback{number}" for number in range(MOST_FALLBACKS)]


class DefaultForm(PageForm):
    """The default model of one scenario with the models to try after it; an empty model clears it."""

    model = forms.ChoiceField(required=False, widget=LongSelect)

    def __init__(
        self,
        *args: Any,
        choice: DefaultChoice,
        entries: Iterable[Entry],
        labels: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("prefix", choice.scenario.slug)
        initial = {"model": choice.model} | {
            f"fallback{place}": name for place, name in enumerate(choice.fallbacks)
        }
        kwargs["initial"] = initial
        super().__init__(*args, **kwargs)
        self.scenario = choice.scenario
        groups = grouped(entries, labels)
        self.fields["model"].label = choice.scenario.label
        self.fields["model"].help_text = choice.scenario.description
        models = _with(groups, choice.model)
        self.has_models = bool(models)
        self.set_choices("model", [("", gettext("Not set")), *models])
        # One empty place after those that are taken: that is how one is added, without any script.
        self.places = min(len(choice.fallbacks) + 1, MOST_FALLBACKS)
        for place in range(self.places):
            chosen = initial.get(f"fallback{place}", "")
            label = (
                gettext("%(number)d. fallback") % {"number": place + 1}
                if chosen
                else gettext("Add a fallback")
            )
            choices = [("", "–"), *_with(groups, chosen)]
            self.fields[f"fallback{place}"] = forms.ChoiceField(
                label=label, required=False, choices=choices, widget=LongSelect
            )
        self.names = {"fallbacks": "fallback0"}
        for field in self.fields.values():
            field.widget.attrs["form"] = (
                "defaults"  # the page has small forms of its own beside each select
            )

    @property
    def fallback_fields(self) -> list[FallbackPlace]:
        taken = sum(1 for place in range(self.places) if self.initial.get(f"fallback{place}"))
        return [
            FallbackPlace(self[f"fallback{place}"], place, taken) for place in range(self.places)
        ]

    @property
    def chosen_fallbacks(self) -> list[str]:
        names = (self.cleaned_data[f"fallback{place}"] for place in range(self.places))
        return [name for name in names if name]


def grouped(
    entries: Iterable[Entry], labels: Mapping[str, Any]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Choices in groups by provider, as <optgroup>."""
    groups = groupby(entries, key=lambda one: one.provider)
    named = [(str(labels.get(slug, slug)), list(rows)) for slug, rows in groups]
    return [(label, [(one.id, _option(one, label)) for one in rows]) for label, rows in named]


def _option(entry: Entry, provider: str) -> str:
    """With the provider: a closed select does not show its groups."""
    text = f"{provider} ▸ {entry.model}"
    return gettext("%(model)s (retired)") % {"model": text} if entry.is_retired else text


def _with(groups: list[tuple[str, list[tuple[str, str]]]], chosen: str) -> list[Any]:
    """The groups, with a chosen model that is no longer offered on top: saving something else must
    not lose it silently.
    """
    known = {name for _label, options in groups for name, _text in options}
    return (
        [(chosen, gettext("%(model)s (switched off or gone)") % {"model": chosen}), *groups]
        if chosen and chosen not in known
        else list(groups)
    )

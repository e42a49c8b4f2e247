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
from models_catalog.resolution.entries import Entry
from models_catalog.services.defaults import MOST_FALLBACKS


class LongSelect(forms.Select):
    """A select for many options.

    Django renders a template per option, which takes a third of a second for 500 models.
    """

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        selected = set(self.format_value(value))
        pieces: list[str] = [
            format_html(
                "<select{}>", flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name}))
            )
        ]
        for key, label in self.choices:
            if isinstance(label, list | tuple):
                pieces.append(f'<optgroup label="{escape(key)}">')
                pieces += [_option_html(option, text, selected) for option, text in label]
                pieces.append("</optgroup>")
            else:
                pieces.append(_option_html(key, label, selected))
        pieces.append("</select>")
        return mark_safe("".join(pieces))  # noqa: S308  every part is escaped above


def _option_html(value: Any, label: Any, selected: set[str]) -> str:
    mark = " selected" if str(value) in selected else ""
    return f'<option value="{escape(value)}"{mark}>{escape(label)}</option>'


@dataclass(frozen=True, slots=True)
class FallbackPlace:
    """A position in the list of fallbacks, of which `taken` hold a model."""

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
    """Apply the button that submitted the form of default models.

    Buttons send "up:<scenario>:<place>", "down:...", "remove:..." or, to accept a suggestion,
    "use:<scenario>:<model>"; each saves the form as well.
    """
    action, _colon, rest = posted.get("do", "").partition(":")
    if action == "use":
        return _with_suggestion(posted, *rest.partition(":")[::2])
    scenario, _colon, place = rest.rpartition(":")
    if (
        action not in ("up", "down", "remove")
        or not place.isdecimal()
        or int(place) >= MOST_FALLBACKS
    ):
        return posted
    changed = posted.copy()
    names = _fallback_names(scenario)
    here, there = int(place), int(place) + {"up": -1, "down": 1, "remove": 0}[action]
    if action == "remove":
        changed[names[here]] = ""
    elif 0 <= there < MOST_FALLBACKS and posted.get(names[there]):
        changed[names[here]], changed[names[there]] = (
            posted.get(names[there], ""),
            posted.get(names[here], ""),
        )
    return changed


def _with_suggestion(posted: QueryDict, scenario: str, model: str) -> QueryDict:
    """Make the model the default, and remove it from the fallbacks."""
    changed = posted.copy()
    changed[f"{scenario}-model"] = model
    for name in _fallback_names(scenario):
        if changed.get(name) == model:
            changed[name] = ""
    return changed


def _fallback_names(scenario: str) -> list[str]:
    return [f"{scenario}-fallback{number}" for number in range(MOST_FALLBACKS)]


class DefaultForm(PageForm):
    """A scenario's default model and fallbacks; an empty model clears the default."""

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
        # One empty place after the taken ones adds a fallback without JavaScript.
        self.places = min(len(choice.fallbacks) + 1, MOST_FALLBACKS)
        for place in range(self.places):
            chosen = initial.get(f"fallback{place}", "")
            label = (
                gettext("Fallback %(number)d") % {"number": place + 1}
                if chosen
                else gettext("Add a fallback")
            )
            choices = [("", "–"), *_with(groups, chosen)]
            self.fields[f"fallback{place}"] = forms.ChoiceField(
                label=label, required=False, choices=choices, widget=LongSelect
            )
        self.names = {"fallbacks": "fallback0"}
        for field in self.fields.values():
            # Each select sits beside small forms of its own on the page.
            field.widget.attrs["form"] = "defaults"

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
    """Group choices by provider, for <optgroup>."""
    groups = groupby(entries, key=lambda entry: entry.provider)
    labelled = ((str(labels.get(slug, slug)), members) for slug, members in groups)
    return [
        (label, [(entry.id, _option(entry, label)) for entry in members])
        for label, members in labelled
    ]


def _option(entry: Entry, provider: str) -> str:
    """Include the provider, because a closed select does not show its groups."""
    text = f"{provider} ▸ {entry.model}"
    return gettext("%(model)s (retired)") % {"model": text} if entry.is_retired else text


def _with(groups: list[tuple[str, list[tuple[str, str]]]], chosen: str) -> list[Any]:
    """Prepend a chosen model that is no longer offered; saving must not silently drop it."""
    offered = {name for _label, options in groups for name, _text in options}
    return (
        [(chosen, gettext("%(model)s (switched off or gone)") % {"model": chosen}), *groups]
        if chosen and chosen not in offered
        else list(groups)
    )

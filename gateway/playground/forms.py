"""The playground's forms: model choice, chat, embeddings, rerank and speech."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from core import strict_json
from core.templatetags.ui import num
from core.web.forms import PageForm
from gateway.dataplane.requests.uploads import FILE_LIMIT
from gateway.playground.choices import Offer, Parameter, labels, voices
from models_catalog.forms.defaults import LongSelect, grouped
from providers.declaration.spec import Upload
from providers.operations.audio import is_audio

MESSAGE_LENGTH: Final = 200_000
LINES: Final = 5
DOCUMENTS: Final = 20
TURNS: Final = 200
FORMATS: Final = ("mp3", "wav", "opus", "aac", "flac", "pcm")
PREFIX: Final = "p-"  # of parameter fields


class ModelChoice(PageForm):
    """A separate GET form to choose the model and, side by side, a second one."""

    def __init__(
        self, offer: Offer, *, name: str = "model", label: Any = "", beside: str | None = None
    ) -> None:
        """Make the form.

        Args:
            beside: The second model in a side-by-side view; None if the page has no such view.
        """
        chosen = {name: offer.model.id if offer.model else "", "beside": beside or ""}
        super().__init__(initial=chosen, auto_id=f"pick-{name}-%s")
        choices = grouped(offer.entries, labels())
        self.fields[name] = forms.ChoiceField(
            label=label or _("Model"), choices=choices, widget=LongSelect
        )
        if beside is not None:
            none = ("", gettext("No other model"))
            self.fields["beside"] = forms.ChoiceField(
                label=_("Side by side with"),
                choices=[none, *choices],
                widget=LongSelect,
                required=False,
            )


class OfModel(PageForm):
    """A form for one offered model, in a hidden field because ModelChoice shows it."""

    model = forms.CharField(widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, offer: Offer, parameters: Iterable[Parameter] = (), **kwargs: Any
    ) -> None:
        kwargs.setdefault("initial", {}).setdefault("model", offer.model.id if offer.model else "")
        super().__init__(*args, **kwargs)
        self.offer = offer
        self.parameter_names = []
        for parameter in parameters:
            self.parameter_names.append(PREFIX + parameter.name)
            self.fields[PREFIX + parameter.name] = _field(parameter)

    def clean_model(self) -> str:
        name = self.cleaned_data["model"]
        if self.offer.find(name) is None:
            raise forms.ValidationError(_("This model cannot be called. Choose another one."))
        return str(name)

    @property
    def model_name(self) -> str:
        return str(self.cleaned_data["model"])

    @property
    def parameter_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.parameter_names]

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters the user set."""
        values = {
            name.removeprefix(PREFIX): self.cleaned_data.get(name) for name in self.parameter_names
        }
        return {name: value for name, value in values.items() if value not in (None, "")}


def _field(parameter: Parameter) -> forms.Field:
    if parameter.choices:
        return forms.ChoiceField(
            label=parameter.label,
            required=False,
            choices=[("", pgettext("parameter", "Default")), *parameter.choices],
        )
    kind: Any = forms.IntegerField if parameter.whole else forms.FloatField
    field: forms.Field = kind(
        label=parameter.label,
        required=False,
        min_value=_plain(parameter.minimum),
        max_value=_plain(parameter.maximum),
    )
    has_range = parameter.minimum is not None and parameter.maximum is not None
    field.help_text = (
        gettext("%(low)s to %(high)s")
        % {"low": _figure(parameter.minimum), "high": _figure(parameter.maximum)}
        if has_range
        else ""
    )
    # An empty field is not sent; the placeholder shows the model's default.
    default = "" if parameter.default is None else str(parameter.default)
    field.widget.attrs |= {
        "placeholder": default,
        "step": parameter.step,
        "inputmode": "numeric" if parameter.whole else "decimal",
    }
    return field


def _figure(value: Any) -> str:
    """Format a bound with grouped digits and a real minus sign."""
    return num(value).replace("-", "−")


def _plain(value: Any) -> float | int | None:
    """Convert an exact decimal to a float, which form fields can compare."""
    return value if value is None or isinstance(value, int) else float(value)


# --------------------------------------------------------------------------------------------- chat


class ChatForm(OfModel):
    beside = forms.CharField(widget=forms.HiddenInput, required=False)
    history = forms.CharField(widget=forms.HiddenInput, required=False)
    message = forms.CharField(
        label=_("Your message"),
        required=False,
        max_length=MESSAGE_LENGTH,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
    )
    system = forms.CharField(
        label=_("System prompt"),
        required=False,
        max_length=MESSAGE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off"}),
    )
    tools = forms.CharField(
        label=_("Tools"),
        help_text=_(
            "A JSON list, as in a request's “tools” field. The model's tool calls are shown but "
            "not run."
        ),
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off", "class": "mono"}
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("system", "tools", *self.parameter_names):
            # These fields are outside the form element, in the column beside the conversation.
            self.fields[name].widget.attrs["form"] = "chat"

    def clean_beside(self) -> str:
        name = self.cleaned_data["beside"]
        return name if self.offer.find(name) is not None and name != self.data.get("model") else ""

    def clean_history(self) -> list[dict[str, Any]]:
        return read_history(self.cleaned_data["history"])

    def clean_tools(self) -> list[Any] | None:
        text = self.cleaned_data["tools"].strip()
        if not text:
            return None
        try:
            tools = strict_json.loads(text.encode())
        except ValueError:
            tools = None
        if not isinstance(tools, list):
            raise forms.ValidationError(_("This is not a JSON list."))
        return tools or None

    def body(self, turns: list[dict[str, Any]], slot: int) -> dict[str, Any]:
        """Return the request for one slot's model, with its own earlier answers as history."""
        values = self.cleaned_data
        system = [{"role": "system", "content": values["system"]}] if values.get("system") else []
        tools = {"tools": values["tools"]} if values.get("tools") else {}
        return {"messages": [*system, *messages_of(turns, slot)], **tools, **self.settings}


def messages_of(turns: Iterable[Mapping[str, Any]], slot: int) -> list[dict[str, str]]:
    messages = []
    for turn in turns:
        messages.append({"role": "user", "content": turn["user"]})
        own = [answer for answer in turn["answers"] if answer["slot"] == slot] or list(
            turn["answers"]
        )
        if own and own[-1]["text"]:
            messages.append({"role": "assistant", "content": own[-1]["text"]})
    return messages


def read_history(text: str) -> list[dict[str, Any]]:
    """Parse the conversation that the browser sends back; the server stores none of it.

    Raises:
        ValidationError: The history is malformed.
    """
    try:
        turns = strict_json.loads(text.encode()) if text else []
        return [
            {
                "user": _text(turn["user"]),
                "answers": [_answer(answer) for answer in turn["answers"]],
            }
            for turn in turns[-TURNS:]
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise forms.ValidationError(
            _("The conversation could not be read. Start a new one.")
        ) from None


def _answer(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "slot": int(value["slot"]),
        "model": _text(value["model"]),
        "text": _text(value["text"]),
        "footer": _text(value.get("footer", "")),
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


# ------------------------------------------------------------------------------------------- others


class EmbeddingsForm(OfModel):
    texts = forms.CharField(
        label=_("Texts"),
        help_text=_("One per line, at most five."),
        max_length=MESSAGE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 5, "autocomplete": "off"}),
    )

    def clean_texts(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["texts"].splitlines() if line.strip()]
        if len(lines) > LINES:
            raise forms.ValidationError(_("Enter at most five lines."))
        return lines


class RerankForm(OfModel):
    query = forms.CharField(
        label=_("Query"), max_length=4000, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    documents = forms.CharField(
        label=_("Documents"),
        help_text=_("One per line, at most twenty."),
        max_length=MESSAGE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 6, "autocomplete": "off"}),
    )

    def clean_documents(self) -> list[str]:
        lines = [
            line.strip() for line in self.cleaned_data["documents"].splitlines() if line.strip()
        ]
        if len(lines) > DOCUMENTS:
            raise forms.ValidationError(_("Enter at most twenty lines."))
        return lines


class TranscriptionForm(OfModel):
    file = forms.FileField(
        label=_("Audio file"),
        help_text=_("wav, mp3, m4a, ogg, flac or webm, at most 25 MB."),
        widget=forms.FileInput(
            attrs={"accept": "audio/*,.wav,.mp3,.m4a,.ogg,.flac,.webm", "capture": True}
        ),
    )

    def clean_file(self) -> Upload:
        file = self.cleaned_data["file"]
        if file.size > FILE_LIMIT:
            raise forms.ValidationError(_("The file is too large: at most 25 MB."))
        data = file.read()
        if not is_audio(data):
            raise forms.ValidationError(
                _("This audio format is not supported. Use flac, mp3, m4a, ogg, wav or webm.")
            )
        return Upload(file.name or "audio", file.content_type or "application/octet-stream", data)


class SpeechForm(OfModel):
    input = forms.CharField(
        label=_("Text"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off"}),
    )
    voice = forms.CharField(
        label=_("Voice"),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    response_format = forms.ChoiceField(
        label=pgettext_lazy("sound", "Format"),
        required=False,
        choices=[("", _("Model default")), *((name, name) for name in FORMATS)],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model = self.offer.model
        self.voices = list(voices(model)) if model else []
        default = model.parameters.get("voice", {}).get("default") if model else None
        placeholder = (
            gettext("Model default: %(value)s") % {"value": default}
            if default
            else gettext("Model default")
        )
        self.fields["voice"].widget.attrs |= {"placeholder": placeholder} | (
            {"list": "voices"} if self.voices else {}
        )

    @property
    def body(self) -> dict[str, Any]:
        return {
            name: self.cleaned_data[name]
            for name in ("input", "voice", "response_format")
            if self.cleaned_data[name]
        }

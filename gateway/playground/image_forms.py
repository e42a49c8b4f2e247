"""The playground's forms for images: made from a description, and changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from gateway.dataplane.requests.uploads import FILE_LIMIT
from gateway.playground.forms import OfModel
from providers.declaration.spec import Upload
from providers.operations.image_checks import LONGEST_PROMPT
from providers.operations.images import MOST_IMAGES, edit_fields, image_type, is_image

IMAGES: Final = 4
SIZES: Final = ("512x512", "1024x1024", "1536x1024", "1024x1536")
_PICTURES: Final = "image/png,image/jpeg,image/webp,image/gif"


class ImagesForm(OfModel):
    prompt = forms.CharField(
        label=_("Description"),
        max_length=LONGEST_PROMPT,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off"}),
    )
    size = forms.ChoiceField(
        label=_("Size"),
        required=False,
        choices=[("", _("Model default")), *((size, size.replace("x", " × ")) for size in SIZES)],
    )
    n = forms.IntegerField(
        label=_("Number of images"), min_value=1, max_value=IMAGES, initial=1, required=False
    )

    @property
    def body(self) -> dict[str, Any]:
        """Return the request; pages show no images of other hosts, so it wants data."""
        values = {name: self.cleaned_data[name] for name in ("prompt", "size", "n")}
        wanted = {name: value for name, value in values.items() if value}
        return {**wanted, "response_format": "b64_json"}


class _Files(forms.FileInput):
    allow_multiple_selected = True


class PicturesField(forms.FileField):
    """Pictures of which several can be chosen."""

    widget = _Files

    def clean(self, data: Any, initial: Any = None) -> list[Upload]:
        files = [super(PicturesField, self).clean(file, initial) for file in data or [None]]
        if len(files) > MOST_IMAGES:
            raise forms.ValidationError(
                _("Choose at most %(most)s pictures."), params={"most": MOST_IMAGES}
            )
        return [_picture(file) for file in files]


class EditForm(OfModel):
    images = PicturesField(
        label=_("Pictures"),
        help_text=_("PNG, JPEG, WebP or GIF: one or several, at most 25 MB in all."),
        widget=_Files(attrs={"accept": _PICTURES}),
    )
    prompt = forms.CharField(
        label=_("What to change"),
        max_length=LONGEST_PROMPT,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
    )
    mask = forms.FileField(
        label=_("Mask"),
        help_text=_(
            "A PNG of the same size: only its transparent areas are changed. Not every model "
            "takes one."
        ),
        required=False,
        widget=forms.FileInput(attrs={"accept": _PICTURES}),
    )

    def clean_mask(self) -> Upload | None:
        file = self.cleaned_data["mask"]
        return _picture(file) if file else None

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if self.size > FILE_LIMIT:
            self.add_error("images", _("The files are too large: at most 25 MB in all."))
        return values

    @property
    def body(self) -> dict[str, Any]:
        """Return the request with its files; pages show no images of other hosts."""
        values = self.cleaned_data
        wanted = {"prompt": values["prompt"], "response_format": "b64_json"}
        return {**wanted, **edit_fields(_files_of(values))}

    @property
    def size(self) -> int:
        """The bytes of the files."""
        return sum(
            len(file.data) for files in _files_of(self.cleaned_data).values() for file in files
        )

    def keep_files(self) -> None:
        """Let the browser keep the chosen files beside the answer, to ask again with them."""
        for name in ("images", "mask"):
            self.fields[name].widget.attrs["hx-preserve"] = "true"


def _files_of(values: Mapping[str, Any]) -> dict[str, list[Upload]]:
    mask = values.get("mask")
    return {"image": values.get("images") or [], **({"mask": [mask]} if mask else {})}


def _picture(file: Any) -> Upload:
    data = file.read()
    if not is_image(data):
        raise forms.ValidationError(_("This is not a PNG, JPEG, WebP or GIF picture."))
    return Upload(file.name or "picture", image_type(data), data)

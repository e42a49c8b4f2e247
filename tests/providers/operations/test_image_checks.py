"""Requests for images: what is refused before any provider is asked, and which field is named."""

from __future__ import annotations

from typing import Any

import pytest

from providers.operations.fields import InvalidBody
from providers.operations.image_checks import check_image_edits, check_images
from providers.operations.images import MOST_IMAGES

IMAGE = {"image_url": "data:image/png;base64,iVBORw=="}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"n": 10, "size": "auto", "quality": "hd", "background": None, "user": "u"},
        {"size": "4096x16", "response_format": "url", "style": "vivid", "moderation": "low"},
        {"size": "2K", "response_format": "b64_json", "output_format": "webp"},
        {"output_compression": 0, "partial_images": 3, "stream": True, "seed": 7},
    ],
)
def test_good_requests(more: dict[str, Any]) -> None:
    check_images({"prompt": "a", **more})
    check_image_edits({"prompt": "a", "images": [IMAGE] * MOST_IMAGES, "mask": IMAGE, **more})


@pytest.mark.parametrize(
    ("more", "param"),
    [
        *(({"prompt": value}, "prompt") for value in (None, "", " ", ["a"], "a" * 32_001)),
        *(({"n": value}, "n") for value in (0, 11, 1.0, True, "1")),
        *(
            ({"size": value}, "size")
            for value in ("", "1024", "15x1024", "1024x4097", "1024*1024", "9K", 1024, "0x0")
        ),
        *(({name: 1}, name) for name in ("quality", "output_format", "background", "user")),
        ({"response_format": "png"}, "response_format"),
        ({"output_compression": 101}, "output_compression"),
        ({"partial_images": 4}, "partial_images"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_bad_requests(more: dict[str, Any], param: str) -> None:
    for check, images in ((check_images, {}), (check_image_edits, {"images": [IMAGE]})):
        with pytest.raises(InvalidBody) as refused:
            check({"prompt": "a", **images, **more})
        assert refused.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "images"),
        ({"image": "a"}, "image"),
        ({"images": []}, "images"),
        ({"images": [IMAGE] * (MOST_IMAGES + 1)}, "images"),
        ({"images": [IMAGE, {"file_id": "file-1"}]}, "images[1]"),
        ({"images": ["https://a.example/1.png"]}, "images[0]"),
        ({"images": [{"image_url": "ftp://a"}]}, "images[0]"),
        ({"images": [IMAGE], "mask": {"image_url": "data:text/html;base64,a"}}, "mask"),
    ],
)
def test_bad_images_to_edit(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        check_image_edits({"prompt": "a", **body})
    assert refused.value.param == param

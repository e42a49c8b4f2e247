"""Images as files of a form and as data URLs: recognised formats, and a small sample."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from providers.declaration.spec import Upload

MOST_IMAGES: Final = 16  # to edit: https://platform.openai.com/docs/api-reference/images/createEdit
_SIDE: Final = 64  # pixels of the sample


def image_type(data: bytes) -> str:
    """Return the media type of an image by its first bytes; empty if it is none."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "image/png"
    if data[:3] == b"\xff\xd8\xff":
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/gif" if data[:6] in (b"GIF87a", b"GIF89a") else ""


def is_image(data: bytes) -> bool:
    return bool(image_type(data))


def data_url(data: bytes) -> str:
    return f"data:{image_type(data)};base64,{base64.b64encode(data).decode()}"


def edit_fields(files: Mapping[str, Sequence[Upload]]) -> dict[str, Any]:
    """Return a form's files as the fields of a JSON body."""
    fields: dict[str, Any] = {
        "images": [{"image_url": data_url(upload.data)} for upload in files["image"]]
    }
    if "mask" in files:
        fields["mask"] = {"image_url": data_url(files["mask"][0].data)}
    return fields


def png(rows: Sequence[bytes], comment: str = "") -> bytes:
    """Build a PNG file.

    Args:
        rows: Three bytes for each pixel: red, green and blue.
        comment: Latin-1.
    """
    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    text = _chunk(b"tEXt", b"Comment\0" + comment.encode("latin-1")) if comment else b""
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = _chunk(b"IHDR", header) + text + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def white_square() -> Upload:
    """Return a small PNG file."""
    return Upload("square.png", "image/png", png([b"\xff" * 3 * _SIDE] * _SIDE))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

"""The demo's speech: a tone instead of a voice."""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Callable, Mapping
from typing import Final

SOUND_NOTE = "Modelkeep demonstration: a tone, nobody speaks."
RATE = 24_000  # samples per second, as OpenAI's pcm has them
TONE = 500  # Hz; divides RATE
SECONDS_PER_CHARACTER = 0.06  # about as fast as people speak
LONGEST_TONE = 5.0  # seconds
# A frame of MPEG-2 Layer III, 8 kbit/s, with twelve periods of the tone. It refers to no other
# frame, so that repeating it continues the tone.
MP3_FRAME: Final = bytes.fromhex("fff314c4000288363000adfa40f879418e6f08a51e57fcd5")
SAMPLES_PER_FRAME: Final = 576


def tone_of(text: str, speed: float = 1.0) -> bytes:
    """Generate a tone about as long as the spoken text, at most five seconds.

    Returns:
        16-bit samples, 24 kHz, one channel.
    """
    period = RATE // TONE
    wave_once = struct.pack(
        f"<{period}h",
        *(round(6000 * math.sin(2 * math.pi * step / period)) for step in range(period)),
    )
    seconds = min(LONGEST_TONE, max(0.1, len(text) * SECONDS_PER_CHARACTER / speed))
    return wave_once * round(seconds * TONE)


def wav_of(samples: bytes) -> bytes:
    """Build a WAV file with a comment that describes it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples)
    # Zero-terminated and of even length, as RIFF requires.
    comment = SOUND_NOTE.encode() + b"\0" * (2 - len(SOUND_NOTE) % 2)
    info = b"INFOICMT" + struct.pack("<I", len(comment)) + comment
    data = file.getvalue() + b"LIST" + struct.pack("<I", len(info)) + info
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def mp3_of(samples: bytes) -> bytes:
    """Build an MP3 file of the tone, as long as the samples, with a comment that describes it."""
    comment = b"\0eng\0" + SOUND_NOTE.encode("latin-1")
    frame = b"COMM" + struct.pack(">IH", len(comment), 0) + comment
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    count = math.ceil(len(samples) // 2 / SAMPLES_PER_FRAME)
    return b"ID3\x03\0\0" + size + frame + MP3_FRAME * count


FILES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "mp3": mp3_of,
    "wav": wav_of,
    "pcm": bytes,
}

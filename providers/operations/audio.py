"""Audio files: recognised formats, and a short sample."""

from __future__ import annotations

import io
import wave

from providers.declaration.spec import Upload


def is_audio(data: bytes) -> bool:
    """Return whether the first bytes are those of an audio file."""
    if data[:4] in (b"RIFF", b"RF64"):
        return data[8:12] == b"WAVE"
    if data[:4] in (b"fLaC", b"OggS", b"\x1aE\xdf\xa3") or data[:3] == b"ID3":
        return True
    if data[4:8] == b"ftyp":
        return True
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0


def silence() -> Upload:
    """Return a WAV file with one second of silence: 16 kHz, 16 bits, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(2 * 16000))
    return Upload("silence.wav", "audio/wav", file.getvalue())

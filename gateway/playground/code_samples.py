"""Code samples for the chosen model: curl, Python (requests and openai) and JavaScript."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from gateway.clients.snippets import Sample
from providers.declaration.spec import Operation
from providers.operations.columns import OperationSpec, complete
from providers.operations.table import OPERATIONS

_KEY: Final = "MODELKEEP_KEY"  # the environment variable that holds the app key


@dataclass(frozen=True, slots=True)
class Sdk:
    """How to call an operation with OpenAI's Python library.

    Args:
        shown: The statement that shows the answer.
        more: An additional argument.
        method: The client's method; empty if it is the operation's name and "create".
    """

    shown: str
    more: str = ""
    method: str = ""


# None if the library has no method for the operation or no page shows it.
_SDK: Final = complete(
    __name__,
    Operation,
    {
        Operation.CHAT: Sdk("print(answer.choices[0].message.content)"),
        Operation.COMPLETION: None,
        Operation.EMBEDDINGS: Sdk("print(len(answer.data[0].embedding))"),
        Operation.TRANSCRIPTION: Sdk("print(answer.text)"),
        Operation.TRANSLATION: None,
        # The library requires a voice; an empty one selects the model's default.
        Operation.SPEECH: Sdk('answer.write_to_file("speech.audio")', 'voice=""'),
        Operation.RERANK: None,
        Operation.MODERATION: None,
        Operation.IMAGES: Sdk("print(answer.data[0])", method="images.generate"),
        Operation.IMAGE_EDITS: Sdk("print(answer.data[0])", method="images.edit"),
    },
)


def samples(operation: Operation, *, base_url: str, model: str) -> list[Sample]:
    """Return the code samples for an operation that has an example or takes a file.

    Args:
        base_url: As OpenAI's libraries expect it, ending in /v1.
        model: May contain any character.
    """
    spec = OPERATIONS[operation]
    example = spec.file.beside if spec.file else spec.example
    assert example is not None, "a page shows it"
    address, body = f"{base_url}/{operation.path}", {"model": model, **example}
    return [
        Sample("curl", "curl", _curl(address, body, spec)),
        Sample("requests", "Python · requests", _requests(address, body, spec)),
        Sample("openai", "Python · openai", _openai(base_url, body, spec)),
        Sample("js", "JavaScript", _javascript(address, body, spec)),
    ]


def _json(value: Any) -> str:
    """Return JSON that is also a valid Python and JavaScript literal."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _shell(text: str) -> str:
    """Quote a text for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _curl(address: str, body: dict[str, Any], spec: OperationSpec) -> str:
    head = f'curl {_shell(address)} \\\n  -H "Authorization: Bearer ${_KEY}" \\\n'
    if spec.file:
        fields = "".join(f"  -F {_shell(f'{name}={value}')} \\\n" for name, value in body.items())
        return f"{head}{fields}  -F {spec.file.name}=@{spec.file.example}"
    out = f" \\\n  --output {spec.saved_as}" if spec.saved_as else ""
    return f'{head}  -H "Content-Type: application/json" \\\n  -d {_shell(_json(body))}{out}'


def _requests(address: str, body: dict[str, Any], spec: OperationSpec) -> str:
    start = f"import os\n\nimport requests\n\nresponse = requests.post(\n    {_json(address)},\n"
    start += f'    headers={{"Authorization": f"Bearer {{os.environ[\'{_KEY}\']}}"}},\n'
    sent = f"    json={_json(body)},\n"
    if spec.file:
        file = f'"{spec.file.name}": open("{spec.file.example}", "rb")'
        sent = f"    data={_json(body)},\n    files={{{file}}},\n"
    shown = "print(response.json())"
    if spec.saved_as:
        shown = f'open("{spec.saved_as}", "wb").write(response.content)'
    return f"{start}{sent}    timeout=300,\n)\nresponse.raise_for_status()\n{shown}"


def _openai(base_url: str, body: dict[str, Any], spec: OperationSpec) -> str:
    client = f'OpenAI(base_url={_json(base_url)}, api_key=os.environ["{_KEY}"])'
    start = f"import os\n\nfrom openai import OpenAI\n\nclient = {client}\n"
    sdk = _SDK[spec.operation]
    if sdk is None:
        path = f"/{spec.operation.path}"
        post = f"client.post({_json(path)}, body={_json(body)}, cast_to=object)"
        return f"{start}answer = {post}\nprint(answer)"
    arguments = [f"{name}={_json(value)}" for name, value in body.items()]
    arguments += [f'{spec.file.name}=open("{spec.file.example}", "rb")'] if spec.file else []
    arguments += [sdk.more] if sdk.more else []
    named = "".join(f"    {argument},\n" for argument in arguments)
    method = sdk.method or f"{spec.operation.value}.create"
    return f"{start}answer = client.{method}(\n{named})\n{sdk.shown}"


def _javascript(address: str, body: dict[str, Any], spec: OperationSpec) -> str:
    key = f"Authorization: `Bearer ${{process.env.{_KEY}}}`"
    start = 'import { writeFile } from "node:fs/promises";\n\n' if spec.saved_as else ""
    sent = f'  headers: {{ {key}, "Content-Type": "application/json" }},\n'
    sent += f"  body: JSON.stringify({_json(body)}),\n"
    if spec.file:
        start = 'import { readFile } from "node:fs/promises";\n\nconst form = new FormData();\n'
        start += "".join(
            f"form.append({_json(name)}, {_json(value)});\n" for name, value in body.items()
        )
        blob = f'new Blob([await readFile("{spec.file.example}")])'
        start += f'form.append("{spec.file.name}", {blob}, "{spec.file.example}");\n'
        sent = f"  headers: {{ {key} }},\n  body: form,\n"
    shown = "console.log(JSON.stringify(await response.json(), null, 2));"
    if spec.saved_as:
        shown = f'await writeFile("{spec.saved_as}", Buffer.from(await response.arrayBuffer()));'
    check = "if (!response.ok) throw new Error(await response.text());\n"
    # Only modules allow top-level await, and .js files are not modules by default.
    start = f"// Save as call.mjs, run with Node.js 18 or later.\n{start}"
    call = f'const response = await fetch({_json(address)}, {{\n  method: "POST",\n{sent}}});\n'
    return f"{start}{call}{check}{shown}"

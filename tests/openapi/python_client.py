"""`python python_client.py URL KEY`: use the clients that were generated for Python.

Prints what their typed answers say, as JSON.
"""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any

from hub_api_client import AuthenticatedClient as RestClient
from hub_api_client.api.credentials import (
    credentials_change,
    credentials_create,
    credentials_delete,
    credentials_get,
    credentials_list,
)
from hub_api_client.api.models import models_list as rest_models_list
from hub_api_client.models import (
    CredentialChangeRequest,
    CredentialInRequest,
    CredentialInRequestValues,
    CredentialList,
    CredentialOut,
    ModelList,
)
from hub_api_client.models import Error as RestError
from hub_v1_client import AuthenticatedClient as ModelClient
from hub_v1_client.api.models import models_get, models_list
from hub_v1_client.api.reasoning import chat_completions, messages
from hub_v1_client.models import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Error,
    Message,
    MessageRequest,
)

CHAT: dict[str, Any] = {
    "model": "demo/demo-chat",
    "messages": [{"role": "user", "content": "Hello"}],
}


def use_models(url: str, key: str) -> dict[str, Any]:
    client = ModelClient(base_url=url, token=key, raise_on_unexpected_status=True)
    listed = models_list.sync(client=client)
    body = ChatCompletionRequest.from_dict(CHAT)
    whole = chat_completions.sync(client=client, body=body)
    assert isinstance(whole, ChatCompletion)
    message = messages.sync(client=client, body=MessageRequest.from_dict(CHAT | {"max_tokens": 99}))
    assert isinstance(message, Message)
    missing = models_get.sync("nothing/at-all", client=client)
    assert isinstance(missing, Error)
    found = models_get.sync("demo/demo-chat", client=client)
    return {
        "models": [model.id for model in listed.data],
        "model": found.id,
        "whole": whole.choices[0].message.content,
        "tokens": whole.usage.total_tokens,
        "message": "".join(block.text for block in message.content),
        "streamed": "".join(streamed(client)),
        "error": missing.error.code,
    }


def streamed(client: ModelClient) -> list[str]:
    """Read a stream with the generated types; generators make no reader of events."""
    lines = []
    body = CHAT | {"stream": True}
    with client.get_httpx_client().stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line[:5] == "data:"]
    assert lines.pop() == "[DONE]"
    chunks = [ChatCompletionChunk.from_dict(json.loads(line)) for line in lines]
    return [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]


def manage(url: str, key: str) -> dict[str, Any]:
    client = RestClient(base_url=url, token=key, raise_on_unexpected_status=True)
    body = CredentialInRequest(name="Generated", values=CredentialInRequestValues())
    made = credentials_create.sync("demo", client=client, body=body)
    assert isinstance(made, CredentialOut)
    renamed = credentials_change.sync(
        "demo", made.id, client=client, body=CredentialChangeRequest(name="Renamed")
    )
    assert isinstance(renamed, CredentialOut)
    listed = credentials_list.sync("demo", client=client)
    assert isinstance(listed, CredentialList)
    deleted = credentials_delete.sync_detailed("demo", made.id, client=client)
    missing = credentials_get.sync("demo", uuid.uuid4(), client=client)
    assert isinstance(missing, RestError)
    enabled = rest_models_list.sync(client=client, enabled=True)
    assert isinstance(enabled, ModelList)
    return {
        "renamed": renamed.name,
        "listed": [row.name for row in listed.results],
        "deleted": int(deleted.status_code),
        "missing": missing.error.code,
        "enabled": all(model.enabled for model in enabled.results) and bool(enabled.results),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"v1": use_models(*sys.argv[1:]), "rest": manage(*sys.argv[1:])}))

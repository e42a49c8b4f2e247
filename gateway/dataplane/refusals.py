"""Messages for calls that the relay refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

from gateway import page_urls
from gateway.dataplane.attempts import Call
from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests.addresses import MODELS, is_known
from gateway.dataplane.stored.resources import BATCHES, FILES, MESSAGE_BATCHES
from providers.wire.anthropic.errors import unsupported
from quotas.ledger.states import HoldResult, HoldState

NATIVE: Final = frozenset({"messages", "responses"})  # doors whose bodies providers get as they are


class NoCredits(Exception):
    """The trial cannot pay for the call; the next source may."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def database_unavailable() -> Refusal:
    return Refusal(
        "database_unavailable",
        "The server's database is unavailable. Nothing was charged. Try again shortly.",
        retry_after=5,
    )


def server_stopping() -> Refusal:
    return Refusal(
        "server_stopping",
        "The server is stopping, so the answer is incomplete. Send the request again.",
        retry_after=1,
    )


def internal_error() -> Refusal:
    return Refusal(
        "internal_error",
        "Something went wrong on this server. Send the request ID to its operator.",
    )


def content_broken() -> Refusal:
    """Of a file of which a part was sent already, so that nobody can be told."""
    return Refusal("provider_error", "The provider broke off while its file was passed on.")


def https_required() -> Refusal:
    return Refusal(
        "https_required",
        "Send requests over https. This one was not encrypted, so others may have read its key: "
        "replace it.",
    )


def refuse_many_answers(body: dict[str, Any]) -> None:
    """Raise NoCredits if a trial call asks for several answers, because it pays for one."""
    for name in ("n", "best_of"):
        if body.get(name) not in (None, 1):
            message = f"A trial call returns one answer: omit “{name}”, or add your own key."
            raise NoCredits(Refusal("invalid_request", message, param=name))
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) > 1 and not isinstance(prompt[0], int):
        message = "A trial call takes one prompt: send only one, or add your own key."
        raise NoCredits(Refusal("invalid_request", message, param="prompt"))


def refuse_stored(body: dict[str, Any], dialect: str) -> None:
    """Raise NoCredits if a trial call names what is stored at the provider.

    All workspaces on a trial share the operator's account there.

    Args:
        dialect: The name of the door whose format the body has.
    """
    if dialect in NATIVE:
        _refuse_stored_state(body)
    for name in ("messages", "input"):
        if _names_file(body.get(name)):
            raise _needs_own_key("cannot use stored files: send their data", name)
    tools = body.get("tools")
    for number, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict) and any(_names_stored(tool, name) for name in _STORED):
            raise _needs_own_key("cannot use what a tool's IDs name", f"tools[{number}]")


def _refuse_stored_state(body: dict[str, Any]) -> None:
    for name in ("previous_response_id", "conversation", "prompt"):
        if body.get(name):
            raise _needs_own_key(f"cannot use what {name} names: send it in input", name)
    if body.get("container"):
        raise _needs_own_key("cannot use a container: leave it out", "container")
    thread = body.get("thread")
    if isinstance(thread, dict) and thread.get("type") == "continue":
        message = "cannot use a thread: leave it out"
        raise _needs_own_key(message, "thread", unsupported("thread"))
    items = body.get("input")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and item.get("type") == "item_reference":
            raise _needs_own_key("cannot use stored items: set store to false", f"input[{number}]")


# What a tool names of an account: a container by its id, or the files that go into a new one.
_STORED: Final = ("container", "file_ids", "vector_store_ids")


def _names_stored(tool: dict[str, Any], name: str) -> bool:
    value = tool.get(name)
    if isinstance(value, dict):
        return bool(value.get("file_ids"))
    return bool(value)


def _names_file(value: Any) -> bool:
    """Tell whether messages, or blocks inside them, name a file by its ID."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if isinstance(node.get("file_id"), str):
                return True
            pending += [node.get(name) for name in ("content", "source", "output", "file")]
        elif isinstance(node, list):
            pending += node
    return False


def _needs_own_key(problem: str, param: str, details: Mapping[str, Any] | None = None) -> NoCredits:
    message = f"A trial call {problem}, or add your own key."
    return NoCredits(Refusal("invalid_request", message, param=param, details=details))


def refuse_unheld(call: Call, held: HoldResult) -> None:
    """Raise NoCredits or Refusal unless the credits were reserved."""
    if held.state is HoldState.HELD:
        return
    if held.state is HoldState.EXHAUSTED:
        raise NoCredits(trial_exhausted(call, held.left))
    raise of_repeat(held)


def of_repeat(held: HoldResult) -> Refusal:
    """Return the refusal of a request whose Idempotency-Key is in use."""
    if held.state is HoldState.MISMATCH:
        return Refusal(
            "idempotency_mismatch",
            "This Idempotency-Key was used for another request. Use a new key for each request.",
            param="Idempotency-Key",
        )
    if held.state is HoldState.IN_PROGRESS:
        return Refusal(
            "in_progress",
            "A call with this Idempotency-Key is in progress. Wait for its answer.",
            retry_after=1,
        )
    return Refusal(
        "already_done",
        f"The call with this Idempotency-Key has already finished; it cost {held.used} credits. "
        "Nothing was charged again.",
    )


def trial_exhausted(call: Call, left: int) -> Refusal:
    assert call.target is not None
    assert call.source is not None
    label = call.target.provider.label
    address = page_urls.page(
        "provider-credentials",
        workspace=call.request.principal.tenant_slug,
        provider=call.target.provider.slug,
    )
    return Refusal(
        "trial_exhausted",
        f"The {label} trial of this workspace is used up. Add your own {label} key at {address} "
        "or ask the operator of this server for more credits.",
        headers=((b"x-modelkeep-credits-remaining", b"%d" % left),),
    )


def credential_unreadable(label: str, *, trial: bool) -> Refusal:
    if trial:
        message = (
            f"The operator's {label} key cannot be decrypted, so the trial is unavailable. "
            "No credit was used."
        )
        return Refusal("trial_provider_unavailable", message)
    message = (
        f"The stored {label} credential cannot be decrypted, so nothing was sent. "
        "Enter the key again on the provider's page."
    )
    return Refusal("credential_unreadable", message)


def unknown_endpoint(path: str) -> Refusal:
    """Return the refusal of a path that is no endpoint, with the right base URL and endpoints."""
    site = settings.SITE_URL
    endpoints = ", ".join((*ENDPOINTS, MODELS, FILES, BATCHES, MESSAGE_BATCHES))
    return Refusal(
        "not_found",
        f"Unknown endpoint {path[:120]}. {_mistake(path)}The base URL is {site}/v1, for "
        f"Anthropic's clients {site}. The endpoints are {endpoints}.",
    )


def _mistake(path: str) -> str:
    """Return what is wrong with the base URL, if that can be told."""
    if path.startswith("/v1/v1"):
        return "The address contains /v1 twice: remove one from the base URL. "
    if is_known(f"/v1{path}"):
        return f"The base URL lacks /v1: call /v1{path[:120]}. "
    return ""

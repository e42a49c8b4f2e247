"""The addresses under which clients look for the endpoints, and which of them are answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.dataplane.doors.openai import DOOR as OPENAI
from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.stored.resources import BATCHES, FILES, MESSAGE_BATCHES, resource_of

MODELS: Final = "/v1/models"
KEY: Final = "/v1/key"  # what the key of the request may do
RESPONSES: Final = "/v1/responses/"
INPUT_ITEMS: Final = "/input_items"
DOCUMENT: Final = "/v1/openapi.json"
REFERENCE: Final = "/v1/docs/"
COUNT: Final = "/v1/messages/count_tokens"
_BELOW_V1: Final = tuple(
    path.removeprefix("/v1") for path in (*ENDPOINTS, COUNT, KEY, FILES, BATCHES, MESSAGE_BATCHES)
)
# The longest first: what precedes an endpoint in a path may be a model's name.
_OF_DEPLOYMENTS: Final = sorted(
    (path.removeprefix("/v1") for path, endpoint in ENDPOINTS.items() if endpoint.door is OPENAI),
    key=len,
    reverse=True,
)
_ALWAYS_OURS: Final = ("/v1/", "/v2/", "/v1beta/", "/openai/", "/deployments/", "/models/")
_OF_DJANGO: Final = frozenset({DOCUMENT, REFERENCE, REFERENCE.rstrip("/")})
# Base URLs of clients that take the REST API, or its documentation, for this one.
_MISTAKEN: Final = ("", "/api", "/api/v1")
_OURS: Final = frozenset(
    {
        *(prefix + path for prefix in _MISTAKEN for path in _BELOW_V1),
        *("/v1", "/v2", "/v1beta", "/openai", "/models"),
    }
)


@dataclass(frozen=True, slots=True)
class Address:
    """A request's path.

    Attributes:
        path: Under /v1/ if an endpoint is known by it, otherwise as it was sent.
        model: Named by the path instead of by the body.
    """

    path: str
    model: str = ""


_PLAIN: Final = {path: Address(path) for path in ENDPOINTS}


def is_endpoint(path: str) -> bool:
    """Tell whether a path is the gateway's to answer, if only with a hint at the right one."""
    is_ours = path.startswith(_ALWAYS_OURS) or path.rstrip("/") in _OURS
    return is_ours and path not in _OF_DJANGO


def is_greeting(path: str, method: str) -> bool:
    """Tell whether a client only asks whether there is a server, as Claude Code does."""
    return path == "/" and method == "HEAD"


def address_of(path: str) -> Address:
    """Resolve the other names of an endpoint: those of Azure's SDKs, of Groq's and of Cohere's."""
    if path in _PLAIN:
        return _PLAIN[path]
    path = path.rstrip("/")
    if path.startswith("/openai/"):
        return _of_azure(path)
    if path == "/v2/rerank":
        return Address("/v1/rerank")
    return Address(path)


def is_known(path: str) -> bool:
    is_listed = path in ENDPOINTS or path in (COUNT, KEY, MODELS) or path.startswith(f"{MODELS}/")
    return is_listed or is_response(path) or resource_of(path) is not None


def is_response(path: str) -> bool:
    """Tell whether a path names a kept response, or its input items."""
    name = path.removeprefix(RESPONSES).removesuffix(INPUT_ITEMS)
    return path.startswith(RESPONSES) and bool(name) and "/" not in name


def _of_azure(path: str) -> Address:
    below = path.removeprefix("/openai").removeprefix("/v1")
    if below.startswith("/deployments/"):
        named = below.removeprefix("/deployments/")
        for end in _OF_DEPLOYMENTS:
            if named.endswith(end) and (model := named.removesuffix(end)):
                return Address(f"/v1{end}", model)
    return Address(f"/v1{below}" if is_known(f"/v1{below}") else path)

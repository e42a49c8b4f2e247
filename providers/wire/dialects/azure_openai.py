"""Azure's variant of OpenAI's format: deployment URLs, directory tokens, filter results,
errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import orjson

from providers.declaration.errors import LONGEST_WAIT, CannotExpress, Failure, ProviderError
from providers.declaration.spec import Access, Call, Provider, Reply
from providers.failures.reasons import Reason
from providers.wire.http import base_of, json_or_none, path_segment, read_object
from providers.wire.openai.errors import openai_errors
from providers.wire.openai.model_list import error_or
from providers.wire.openai.responses.answers import RESPONSE_CODES
from providers.wire.tokens import fetched_token, forget_token

R = TypeVar("R")

V1 = "/openai/v1"
USAGE_SINCE = "2024-09-01"  # first dated version with stream_options
# First dated version with /openai/responses; older ones use the v1 route.
RESPONSES_SINCE = "2025-03-01"
_OF_RESOURCE = ("/responses", "/models", "/files", "/batches")  # not of one deployment
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")
_TAIL = re.compile(r"/(?:openai|models)(?:/.*)?\Z")

# Login host and token scope of each cloud.
_PUBLIC = ("https://login.microsoftonline.com", "https://cognitiveservices.azure.com/.default")
_CLOUDS = {
    ".azure.us": (
        "https://login.microsoftonline.us",
        "https://cognitiveservices.azure.us/.default",
    ),
    ".azure.cn": (
        "https://login.partner.microsoftonline.cn",
        "https://cognitiveservices.azure.cn/.default",
    ),
}


# URLs: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle


def endpoint_in(url: str) -> str:
    """Strip a pasted URL of the part of one API: `/openai/v1`, `/openai/deployments/...`,
    `/models/...`.
    """
    scheme, colon, rest = url.rpartition("://")
    host, _slash, path = rest.partition("/")
    return f"{scheme}{colon}{host}{_TAIL.sub('', f'/{path}')}".rstrip("/")


def endpoint_of(provider: Provider, access: Access) -> str:
    return endpoint_in(base_of(provider, access))


def read_base_url(text: str) -> tuple[str, dict[str, str]]:
    """Split a pasted URL into the endpoint and the API version of its query."""
    url, _mark, query = text.partition("#")[0].partition("?")
    version = parse_qs(query).get("api-version", [""])[0]
    return endpoint_in(url.strip()), {"api_version": version} if version else {}


def version_of(access: Access) -> str:
    """Return the API version of this deployment, or "" for the v1 route, which needs none."""
    version = access.model_values.get("api_version") or access.values.get("api_version", "")
    return "" if version in ("v1", "latest") else version


def is_before(version: str, date: str) -> bool:
    """Tell whether a dated API version is older than a date; the v1 route is not."""
    return bool(_DATED.match(version)) and version < date


def routed(url: str, endpoint: str, model: str, version: str) -> str:
    """Convert a URL of the v1 route to the route of a dated version, if one is set."""
    query = f"?api-version={quote(version, safe='')}" if version else ""
    if not _DATED.match(version):
        return url + query
    path = url.removeprefix(endpoint + V1)
    if path == "/responses" and is_before(version, RESPONSES_SINCE):
        return url
    is_shared = path.startswith(_OF_RESOURCE)
    own = "" if is_shared else f"/deployments/{path_segment(model)}"
    return f"{endpoint}/openai{own}{path}{query}"


# Keys, and tokens of Microsoft Entra ID


def auth(access: Access) -> dict[str, str]:
    if token := access.values.get("token"):
        return {"Authorization": f"Bearer {token}"}
    return {"api-key": access.values.get("api_key", "")}


def with_account(
    provider: Provider,
    access: Access,
    model: str,
    make: Callable[[Access], Generator[Call, Reply, R]],
) -> Generator[Call, Reply, R]:
    """Run an exchange of the v1 route with this account's URL and authentication.

    Args:
        make: makes the exchange from an access with the v1 base URL and an `api_key` or a
            fetched `token`.
    """
    endpoint, version = endpoint_of(provider, access), version_of(access)
    values = {"api_version": version}
    parts: tuple[str, ...] = ()
    if key := access.values.get("api_key"):
        values["api_key"] = key
    else:
        parts = token_parts(provider, access)
        values["token"] = yield from token(parts)
    exchange = make(Access(values, endpoint + V1, access.model_values))
    try:
        call = next(exchange)
        while True:
            call.url = routed(call.url, endpoint, model, version)
            reply = (
                (yield from with_token(call, provider, parts, values["token"]))
                if parts
                else (yield call)
            )
            call = exchange.send(reply)
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        exchange.close()


def token_parts(provider: Provider, access: Access) -> tuple[str, str, str, str]:
    """Return the token's URL, the application, its secret and the scope.

    Raises:
        CannotExpress: if a value is missing.
    """
    directory, application, secret = (
        access.values.get(name, "") for name in ("tenant_id", "client_id", "client_secret")
    )
    if not (directory and application and secret):
        raise CannotExpress(
            "Enter an API key, or all of directory (tenant) ID, application (client) ID and "
            "client secret.",
            param="api_key",
        )
    host = urlsplit(base_of(provider, access)).hostname or ""
    authority, scope = next(
        (cloud for end, cloud in _CLOUDS.items() if host.endswith(end)), _PUBLIC
    )
    return f"{authority}/{path_segment(directory)}/oauth2/v2.0/token", application, secret, scope


def token(parts: tuple[str, ...]) -> Generator[Call, Reply, str]:
    """Fetch a token by the client credentials flow.

    See https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
    """
    url, application, secret, scope = parts
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": application,
            "client_secret": secret,
            "scope": scope,
        }
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return (yield from fetched_token(parts, Call("POST", url, headers, form.encode()), read_token))


def read_token(reply: Reply) -> tuple[str, float]:
    body = read_object(reply)
    text = body.get("access_token")
    if not isinstance(text, str) or not text:
        raise ProviderError(Failure.ERROR, Reason("no_token"), status=reply.status)
    return text, float(body.get("expires_in") or 0)


def with_token(
    call: Call, provider: Provider, parts: tuple[str, ...], text: str
) -> Generator[Call, Reply, Reply]:
    """Make a call, and drop its token if it is refused, so that the next call fetches a new
    one.
    """
    accepted = call.accept
    call.accept |= {401}
    call.secrets = (text,)
    reply = yield call
    if reply.status == 401:
        forget_token(parts)
        if 401 not in accepted:
            raise error_or(reply, provider)
    return reply


# Answers

_FILTERS = (
    "prompt_filter_results",
    "content_filter_results",
    "content_filter_offsets",
    "content_filter_result",
    "prompt_annotations",
)


def tidy(body: dict[str, Any]) -> bool:
    """Remove the content filter's results from the answer, and fill in the fields it leaves
    out.
    """
    changed = strip(body)
    for choice in body.get("choices") or ():
        changed = strip(choice) or changed
        if "message" not in choice and "delta" not in choice and "text" not in choice:
            choice["delta" if body.get("object") == "chat.completion.chunk" else "message"] = {}
            changed = True
        message = choice.get("message")
        if isinstance(message, dict) and "content" not in message:
            choice["message"] = {"role": "assistant", "content": None, **message}
            changed = True
    return changed


def strip(holder: dict[str, Any]) -> bool:
    names = [name for name in _FILTERS if name in holder]
    for name in names:
        del holder[name]
    return bool(names)


# Errors

CODES = {
    **RESPONSE_CODES,
    "401": Failure.AUTH,
    "403": Failure.PERMISSION,
    "404": Failure.NOT_AN_API,
    "408": Failure.TIMEOUT,
    "429": Failure.RATE_LIMIT,
    "500": Failure.ERROR,
    "503": Failure.OVERLOADED,
    "Unauthorized": Failure.AUTH,
    "PermissionDenied": Failure.PERMISSION,
    "DeploymentNotFound": Failure.MODEL_NOT_FOUND,
    "ModelNotFound": Failure.MODEL_NOT_FOUND,
    "OperationNotSupported": Failure.BAD_REQUEST,
    "RateLimitReached": Failure.RATE_LIMIT,
    "insufficient_quota": Failure.RATE_LIMIT,  # the deployment's tokens per minute, not money
    "InternalServerError": Failure.ERROR,
    "ServiceUnavailable": Failure.OVERLOADED,
}
_plain_errors = openai_errors(CODES)
_RETRY = re.compile(r"retry after (\d+) second", re.I)


def errors(reply: Reply) -> ProviderError | None:
    """Map OpenAI's form with Azure's codes, API Management's `{"statusCode", "message"}`, and
    Entra ID's.
    """
    body = json_or_none(reply.body)
    fields = body if isinstance(body, dict) else {}
    if isinstance(fields.get("error_description"), str):
        text = fields["error_description"].splitlines()
        return ProviderError(
            Failure.AUTH,
            text[0] if text else "",
            status=reply.status,
            provider_code=str(fields.get("error") or ""),
        )
    if "error" not in fields and isinstance(fields.get("statusCode"), int):
        details = {"code": str(fields["statusCode"]), "message": fields.get("message")}
        reply = Reply(reply.status, reply.headers, orjson.dumps({"error": details}))
    error = _plain_errors(reply)
    if error is not None and error.retry_after is None and (wait := _RETRY.search(error.message)):
        error.retry_after = min(float(wait[1]), LONGEST_WAIT)
    return error

"""The requests of a message batch: checked as calls, then with the provider's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import orjson

from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.errors import Refusal, bad_request
from gateway.dataplane.refusals import NoCredits
from gateway.dataplane.stored.creation.lines import for_trial
from gateway.dataplane.stored.lines import MOST_MODELS, Checked
from providers.operations.fields import kind_of, problem_of
from providers.wire.anthropic.batches import MESSAGES
from providers.wire.anthropic.signatures import has_own_thoughts, without_own_thoughts

MOST: Final = 100_000  # as Anthropic allows
ID_LENGTH: Final = 64  # characters of a custom_id
_REQUESTS: Final = f"a list of 1 to {MOST:,} requests"
_ID: Final = f"a text of at most {ID_LENGTH} characters"


def check(body: Mapping[str, Any]) -> Checked:
    """Check all requests of a batch.

    Raises:
        Refusal: 400 that names the request and the field.
    """
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise bad_request(f"requests {problem_of(body, 'requests', list, _REQUESTS)}", "requests")
    if len(requests) > MOST:
        raise bad_request(f"requests must be {_REQUESTS}.", "requests")
    checked, ids = Checked(MESSAGES), set()
    for number, request in enumerate(requests):
        checked.count += 1
        ids.add(_check_request(number, request, checked))
        if len(ids) < checked.count:
            _refuse(number, "custom_id", "repeats that of an earlier request.")
    return checked


def written(
    body: Mapping[str, Any], names: Mapping[str, str], *, on_trial: bool = False
) -> dict[str, Any]:
    """Return a checked batch as the provider takes it.

    Args:
        names: The provider's name of each model.
        on_trial: Whether the operator's account is asked.

    Raises:
        Refusal: 400 that names a request for which a trial does not pay.
    """
    requests = [_written(request, names) for request in body["requests"]]
    if on_trial:
        for number, request in enumerate(requests):
            _refuse_on_trial(number, request["params"])
        return {"requests": requests}  # whatever else is new there, the operator pays for
    return {**body, "requests": requests}


def _refuse_on_trial(number: int, params: dict[str, Any]) -> None:
    try:
        for_trial(params, ENDPOINTS[MESSAGES].door.name)
    except NoCredits as caught:
        refusal, field = caught.refusal, f"requests.{number}.params"
        raise bad_request(f"{field}: {refusal.message}", f"{field}.{refusal.param}") from None


def _written(request: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    params = request["params"]
    if has_own_thoughts(params):  # another provider's, which would be refused
        params = without_own_thoughts(params)
    return {**request, "params": {**params, "model": names[params["model"]]}}


def _check_request(number: int, request: Any, checked: Checked) -> str:
    """Return the request's custom_id, and note its model. Raises Refusal (400)."""
    if not isinstance(request, dict):
        place = f"requests.{number}"
        raise bad_request(f"{place} must be an object, not {kind_of(request)}.", place)
    custom_id = request.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        _refuse(number, "custom_id", problem_of(request, "custom_id", str, _ID))
    if len(custom_id) > ID_LENGTH:
        _refuse(number, "custom_id", f"must be {_ID}.")
    if not isinstance(request.get("params"), dict):
        _refuse(number, "params", problem_of(request, "params", dict, "the body of a call"))
    endpoint, field = ENDPOINTS[MESSAGES], f"requests.{number}.params"
    try:
        orjson.dumps(request)
    except TypeError:
        _refuse(number, "params", "contain a number that is too large.")
    try:
        read = endpoint.door.read(endpoint.operation, request.get("params"))
    except Refusal as refusal:
        param = f"{field}.{refusal.param}" if refusal.param else field
        raise bad_request(f"{field}: {refusal.message}", param) from None
    if read.model is None:
        _refuse(number, "params.model", problem_of(read.body, "model", str, "the name of a model"))
    if read.body.get("max_tokens") is None:
        problem = problem_of(read.body, "max_tokens", int, "the most tokens of the answer")
        _refuse(number, "params.max_tokens", problem)
    if read.stream:
        _refuse(number, "params.stream", "must be omitted: a batch cannot be streamed.")
    checked.lines[read.model] = checked.lines.get(read.model, 0) + 1
    if len(checked.lines) > MOST_MODELS:
        _refuse(number, "params.model", f"is one too many: a batch may name {MOST_MODELS}.")
    return custom_id


def _refuse(number: int, field: str, problem: str) -> NoReturn:
    name = f"requests.{number}.{field}"
    raise bad_request(f"{name} {problem}", name)

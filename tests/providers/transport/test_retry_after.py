"""How long providers ask to wait, in all the ways they say so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.declaration import registry
from providers.declaration.errors import LONGEST_WAIT
from providers.declaration.spec import Reply
from providers.wire.http import seconds_until_retry, wait_asked_for

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT", "date": DATE}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "99999999"}, LONGEST_WAIT),
        ({"retry-after": "1795341630", "date": DATE}, 30.0),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, 360.0),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "12"}, None),
        ({"x-ratelimit-reset-requests": "120ms", "x-ratelimit-remaining-requests": "0"}, 0.12),
        ({"x-ratelimit-reset-requests": "1h2m3.5s", "x-ratelimit-remaining-requests": "0"}, 3723.5),
        (
            {
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "9s",
                "x-ratelimit-remaining-tokens": "0",
            },
            9.0,
        ),
        (
            {
                "x-ratelimit-reset-tokens": "9s",
                "x-ratelimit-remaining-tokens": "0",
                "retry-after": "3",
            },
            3.0,
        ),
        (
            {
                "anthropic-ratelimit-input-tokens-reset": "2026-11-22T10:00:45Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-22T11:00:00Z",
                "anthropic-ratelimit-requests-remaining": "4",
                "date": DATE,
            },
            45.0,
        ),
        ({"ratelimit-reset": "20", "ratelimit-remaining": "0"}, 20.0),
        ({"x-ratelimit-reset": "1795341630000", "x-ratelimit-remaining": "0", "date": DATE}, 30.0),
        ({"x-ratelimit-reset-tokens": "soon", "x-ratelimit-remaining-tokens": "0"}, None),
    ],
)
def test_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_until_retry(headers) == pytest.approx(seconds)


def test_an_answer_429_means_that_a_limit_is_spent() -> None:
    headers = {
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-tokens": "7s",
    }
    assert wait_asked_for(Reply(429, headers)) == 2.0
    assert wait_asked_for(Reply(500, headers)) is None


@given(
    text=st.text(max_size=20),
    name=st.sampled_from(["retry-after", "retry-after-ms", "date", "ratelimit-reset"]),
)
def test_any_value(text: str, name: str) -> None:
    seconds = wait_asked_for(Reply(429, {"retry-after": "x", name: text}))
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


@pytest.mark.parametrize("digits", ["120", "9" * 3000])
def test_a_wait_in_a_text_is_bounded(digits: str) -> None:
    """A number of many digits is infinite, which no header can say."""
    body = b'{"error": {"message": "Please retry after %b seconds."}}' % digits.encode()
    error = registry.get("azure_openai").errors(Reply(429, {}, body))
    assert error is not None
    assert error.retry_after == min(float(digits), LONGEST_WAIT)

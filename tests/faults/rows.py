"""What callers are told when the provider misbehaves: the table of docs/faults.md, row by row.

An outcome is "ok", or a status and an error code; with 200, the error is the last event of a
stream, which costs a trial its credit because content came before. "|" separates what may depend on
how the bytes arrive.

Elsewhere: bytes that no server should send (tests/providers/transport/test_framing.py), answers
that hold others up (test_fairness.py), names that don't resolve or only slowly, and TLS
(test_sync_client.py, test_resolver.py), odd limits (test_retry_after.py), words of hostile servers
(tests/gateway/dataplane/test_hostile.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """mode: of tests/fakes/provider.py."""

    mode: str
    whole: str
    stream: str

    def __str__(self) -> str:
        return self.mode


TIMEOUT, BROKEN = "504 provider_timeout", "502 provider_error"
LATER_TIMEOUT, LATER_BROKEN = "200 provider_timeout", "200 provider_error"

# They take the time limits of the server, so they run side by side.
SLOW = (
    Row("slow:0.3", "ok", "ok"),
    Row("bytes", "ok", "ok"),
    Row("hang", TIMEOUT, TIMEOUT),
    Row("head_hang", TIMEOUT, TIMEOUT),
    Row("mid_hang", TIMEOUT, LATER_TIMEOUT),
    Row("drip:0.05", TIMEOUT, LATER_TIMEOUT + "|" + TIMEOUT),
)
QUICK = (
    Row("reset", BROKEN, BROKEN),
    Row("mid_reset", BROKEN, LATER_BROKEN),
    Row("close", BROKEN, BROKEN),
    Row("cut", BROKEN, LATER_BROKEN),
    Row("cut_clean", BROKEN, LATER_BROKEN),
    Row("long_length", BROKEN, "ok"),  # the stream had said that it is done
    Row("short_length", BROKEN, "ok|" + BROKEN),
    Row("negative_length", BROKEN, BROKEN),
    Row("two_lengths", BROKEN, BROKEN),
    Row("bad_chunk", BROKEN, BROKEN),
    Row("header_flood", BROKEN, BROKEN),
    Row("garbage", BROKEN, BROKEN),
    Row("bad_utf8", BROKEN, "ok"),
    Row("nul", "ok", "ok"),
    Row("huge_usage", "ok", "ok"),
    Row("empty", BROKEN, BROKEN),
    Row("no_content", BROKEN, BROKEN),
    Row("html", BROKEN, BROKEN),
    Row("http_1_0", "ok", "ok"),
    Row("early_hints", "ok", "ok"),
    Row("gzip", "ok", "ok"),
    Row("redirect:http://169.254.169.254/latest/", BROKEN, BROKEN),
)
# Floods and bombs, after which the server must be as small as before.
LARGE = (
    Row("endless", BROKEN + "|" + TIMEOUT, LATER_TIMEOUT + "|" + LATER_BROKEN),
    Row("long_line", BROKEN, BROKEN),
    Row("gzip:bomb", BROKEN + "|" + TIMEOUT, BROKEN + "|" + TIMEOUT),
)
# After these, the key rests for a while, or counts as invalid.
RESTING = (
    *(Row(f"status:{status}", BROKEN, BROKEN) for status in (500, 502)),
    *(Row(f"status:{status}", *("503 provider_overloaded",) * 2) for status in (503, 529)),
    *(
        Row(f"status:429{wait}", *("429 provider_rate_limited",) * 2)
        for wait in ("", ":soon", ":-5", ":99999999")
    ),
    Row("status:401", *("502 provider_auth_failed",) * 2),
)

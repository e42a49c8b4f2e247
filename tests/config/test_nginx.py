"""deploy/nginx.conf fits the limits of the server behind it."""

from __future__ import annotations

import re
import runpy

from django.conf import settings

from gateway.dataplane.requests.http import DISCARDED, FORM_LIMIT, JSON_LIMIT
from tests.source import ROOT

CONF = (ROOT / "deploy/nginx.conf").read_text("utf-8")
MIB = 1024 * 1024


def location(path: str) -> str:
    """The block of a location."""
    block = re.search(rf"^    location {re.escape(path)} \{{\n(.*?)^    }}", CONF, re.M | re.S)
    assert block is not None, path
    return block[1]


def seconds(block: str, directive: str) -> int:
    value = re.search(rf"\b{directive}\s+(\d+)s;", block)
    assert value is not None, directive
    return int(value[1])


def test_the_server_itself_refuses_bodies_that_are_too_large() -> None:
    """Its answers are JSON, and nginx passes one on only once the whole body was taken."""
    size = re.search(r"client_max_body_size (\d+)m;", CONF)
    assert size is not None
    assert max(JSON_LIMIT, FORM_LIMIT) < int(size[1]) * MIB < DISCARDED


def test_files_may_be_longer_than_other_bodies() -> None:
    block = location("~ ^/(v1|openai|openai/v1)/files$")
    size = re.search(r"client_max_body_size (\d+)m;", block)
    assert size is not None
    assert int(size[1]) > settings.MODELKEEP_FILE_LIMIT + 1
    assert seconds(block, "proxy_read_timeout") > settings.MODELKEEP_CALL_DEADLINE
    # The first location that fits counts.
    assert CONF.index("/files$ {") < CONF.index("location ~ ^/(v1|v2|openai)/ {")


def test_answers_may_take_as_long_as_calls() -> None:
    for path in ("~ ^/(v1|v2|openai)/", "~ ^/t/[^/]+/playground/"):
        assert seconds(location(path), "proxy_read_timeout") > settings.MODELKEEP_CALL_DEADLINE
        assert "proxy_buffering off;" in location(path)
    assert seconds(CONF, "proxy_read_timeout") > settings.MODELKEEP_HEARTBEAT


def test_nginx_closes_idle_connections_first() -> None:
    upstream = CONF.partition("upstream modelkeep {")[2].partition("}")[0]
    server = runpy.run_path(str(ROOT / "config/gunicorn.conf.py"))
    assert seconds(upstream, "keepalive_timeout") < server["keepalive"]

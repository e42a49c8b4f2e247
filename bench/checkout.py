"""What bench/compare.py runs inside one checkout, by this file's path, so that older checkouts need
not have it: a server to be measured, or the decoding of streams.

`python bench/checkout.py serve PROVIDER DATABASE` prints {"pid", "port", "app_key"} and serves
until its input ends. `python bench/checkout.py decode RUNS` prints {name: [milliseconds, ...]}.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

sys.path[0] = str(Path.cwd())  # the checkout, instead of this file's folder


def serve(provider: str, database_url: str) -> None:
    from bench.__main__ import running

    with running(provider, database_url) as server:
        told = {"pid": server.pid, "port": server.port, "app_key": server.app_key}
        print(json.dumps(told), flush=True)
        sys.stdin.read()


def decode(runs: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from bench.decoding import _once, _streams

    spent = {}
    for name, run, _goal in _streams():
        run()
        gc.disable()
        spent[name] = [_once(run) for _number in range(runs)]
        gc.enable()
    print(json.dumps(spent))


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    if mode == "serve":
        serve(*arguments)
    else:
        decode(int(arguments[0]))

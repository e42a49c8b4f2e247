"""`python -m tests.gateway.client URL KEY MODEL THREADS SECONDS`: calls until the trial is used up
or the time is over.

Prints {"<status>": count, "lost": connections that broke} as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter

import requests


def work(url: str, key: str, model: str, until: float, seen: Counter[str]) -> None:
    session = requests.Session()
    session.trust_env = False
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    while time.monotonic() < until:
        try:
            status = session.post(
                url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=30
            ).status_code
        except requests.RequestException:
            seen["lost"] += 1
            session.close()
            time.sleep(0.1)
            continue
        seen[str(status)] += 1
        if status == 402:
            return


def main(url: str, key: str, model: str, threads: str, seconds: str) -> None:
    counts = [Counter[str]() for _number in range(int(threads))]
    until = time.monotonic() + float(seconds)
    running = [
        threading.Thread(target=work, args=(url, key, model, until, seen)) for seen in counts
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    sys.stdout.write(json.dumps(sum(counts, Counter[str]())))


if __name__ == "__main__":
    main(*sys.argv[1:])

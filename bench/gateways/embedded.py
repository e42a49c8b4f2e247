"""TensorZero's gateway in this process. Run by the Python that has it, without the project:
`python embedded.py PROVIDER CALLS MODEL [--stream]` prints {"cpu_ms", "per_second"}.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from typing import Any

CONNECTIONS = 64
WARM = 200
SETTINGS = """
[gateway]
observability.enabled = false
[models.bench]
routing = ["provider"]
[models.bench.providers.provider]
type = "openai"
model_name = "{model}"
api_base = "{provider}/v1/"
api_key_location = "env::BENCH_KEY"
"""
INPUT = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def one(gateway: Any, stream: bool) -> None:
    answer = await gateway.inference(model_name="bench", input=INPUT, stream=stream)
    if stream:
        async for _chunk in answer:
            pass


async def many(gateway: Any, calls: int, stream: bool) -> None:
    left = iter(range(calls))

    async def worker() -> None:
        for _call in left:
            await one(gateway, stream)

    await asyncio.gather(*(worker() for _connection in range(CONNECTIONS)))


async def main(provider: str, calls: int, model: str, stream: bool) -> dict[str, float]:
    from tensorzero import AsyncTensorZeroGateway  # type: ignore[import-not-found]  # elsewhere

    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(SETTINGS.format(model=model, provider=provider))
        file.flush()
        gateway: Any = await AsyncTensorZeroGateway.build_embedded(
            config_file=file.name, clickhouse_url=None
        )
        await many(gateway, WARM, stream)
        before, began = cpu(), time.perf_counter()
        await many(gateway, calls, stream)
        seconds = time.perf_counter() - began
        return {"cpu_ms": 1000 * (cpu() - before) / calls, "per_second": calls / seconds}


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--stream"]
    result = asyncio.run(main(given[0], int(given[1]), given[2], "--stream" in sys.argv))
    print(json.dumps(result), flush=True)
    os._exit(0)  # its threads make Python fail at its end

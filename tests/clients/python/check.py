"""Runs checks of a library, and prints a line of JSON for each: its name, and what went wrong.

A script here is run by the interpreter of its own environment, and imports nothing of the product.
"""

import asyncio
import atexit
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

BASE = os.environ["BASE_URL"]  # with /v1
ROOT = BASE.removesuffix("/v1")  # Anthropic's libraries add /v1 themselves
KEY = os.environ["API_KEY"]
MODEL = os.environ["MODEL"]
EMBEDDINGS = os.environ["EMBEDDINGS"]
SAYS = os.environ["SAYS"]  # what the model says to "hi"

CITY = 'CALL:get_weather:{"city": "Paris"}END'
CITIES = f'{CITY} CALL:get_weather:{{"city": "Rome"}}END'
WEATHER = "sunny in "

# One for all checks: clients keep connections that belong to it.
LOOP = asyncio.new_event_loop()

# A script that ends before has said less than it should.
atexit.register(lambda: sys.stdout.write("ENDED\n"))


def get_weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: The name of the city.
    """
    return WEATHER + city


def expect(text: Any, *wanted: str) -> None:
    """Fail if a text lacks one of others."""
    for one in wanted:
        assert one in str(text), f"{one!r} is not in {str(text)[:500]!r}"


def expect_cities(text: Any) -> None:
    """The model says the last result at least; scripted ones say all."""
    expect(text, WEATHER + "Rome")


def expect_reasoning(door: str, text: Any) -> None:
    """Check what the scripted vendor says of its thoughts: that both came back unchanged.

    The Demo has none.
    """
    if not MODEL.startswith("demo/"):
        check(f"reasoning ({door})")(lambda: expect(text, "(thoughts kept: 2 of 2)"))


def check(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Run a function at once, and report it."""

    def run(function: Callable[[], Any]) -> Callable[[], Any]:
        problem = ""
        try:
            outcome = function()
            if asyncio.iscoroutine(outcome):
                LOOP.run_until_complete(outcome)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}\n{traceback.format_exc()[-1500:]}"
        sys.stdout.write(f"CHECK {json.dumps({'step': name, 'problem': problem})}\n")
        sys.stdout.flush()
        return function

    return run

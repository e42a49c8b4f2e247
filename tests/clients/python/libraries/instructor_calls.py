"""instructor: structured output by tools, by JSON schema, and by Responses."""

import instructor
from check import BASE, KEY, MODEL, check
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=BASE, api_key=KEY, max_retries=0)
HI = [{"role": "user", "content": "hi"}]


class Trip(BaseModel):
    city: str
    days: int


def parse(mode: instructor.Mode) -> None:
    patched = instructor.from_openai(client, mode=mode)
    trip = patched.chat.completions.create(
        model=MODEL, messages=HI, response_model=Trip, max_retries=0
    )
    assert isinstance(trip, Trip)


@check("structured output")
def _() -> None:
    parse(instructor.Mode.TOOLS)


@check("structured output (JSON schema)")
def _() -> None:
    parse(instructor.Mode.JSON_SCHEMA)


@check("structured output (Responses)")
def _() -> None:
    patched = instructor.from_openai(client, mode=instructor.Mode.RESPONSES_TOOLS)
    trip = patched.responses.create(model=MODEL, input=HI, response_model=Trip, max_retries=0)
    assert isinstance(trip, Trip)

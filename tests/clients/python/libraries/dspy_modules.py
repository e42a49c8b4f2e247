"""DSPy's predictors."""

import dspy
from check import BASE, EMBEDDINGS, KEY, MODEL, SAYS, check, expect

lm = dspy.LM(f"openai/{MODEL}", api_base=BASE, api_key=KEY, cache=False, num_retries=0)
dspy.configure(lm=lm)


@check("text")
def _() -> None:
    expect(lm("hi")[0], SAYS)


@check("structured output")
def _() -> None:
    with dspy.context(adapter=dspy.JSONAdapter()):
        said = dspy.Predict("question -> answer")(question='SAY:{"answer": "yes"}END')
    assert said.answer == "yes"


@check("embeddings")
def _() -> None:
    embedder = dspy.Embedder(f"openai/{EMBEDDINGS}", api_base=BASE, api_key=KEY, caching=False)
    assert len(embedder(["a", "b"])) == 2

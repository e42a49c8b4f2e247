"""Prompts that are too long, in the words of many servers."""

from __future__ import annotations

import time

import pytest

from providers.failures.context_length import tells_context_length

TOO_LONG = """
This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.
Your input exceeds the context window of this model. Please adjust your input and try again.
prompt is too long: 208310 tokens > 200000 maximum
input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000
The decoder prompt (length 5000) is longer than the maximum model length of 4096.
You passed 4097 input tokens. However, the model's context length is only 4096 tokens.
the request exceeds the available context size. try increasing the context size
request (66202 tokens) exceeds the available context size (65536 tokens), try increasing it
Context size has been exceeded.
context shift is disabled
Input prompt is too big compared to KV size. Please try increasing KV size.
The number of tokens to keep from the initial prompt is greater than the context length
Trying to keep the first 5000 tokens when context the overflows.
Reached context length of 4096 tokens with model (arch: llama)
The input (9000 tokens) is longer than the model's context length (8192 tokens).
Requested token count exceeds the model's maximum context length of 8192 tokens.
Input length (9000 tokens) exceeds the maximum allowed length (8192 tokens).
the input length exceeds the context length
prompt too long; exceeded max context length by 1234 tokens
`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens
`inputs` must have less than 4095 tokens. Given: 5000
<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]
Prompt exceeds max length
invalid params, context window exceeds limit (2013)
Invalid request: Your request exceeded model token limit: 8192
the max length of current question is 2000
Prompt tokens too long: 7000, max tokens: 5120
Total tokens of image and text exceed max message tokens
length of prompt_tokens (40000) must be less than max_seq_len (32768).
Prompt contains 40000 tokens, too large for model with 32768 maximum context length
Please reduce the length of the messages or completion.
too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.
The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).
Input is too long for requested model.
This model's maximum prompt length is 131072 but the request contains 537812 tokens.
prompt token count of 128001 exceeds the limit of 128000
Prompt length 5000 is greater than max_seq_len 4096
Input tokens exceed the configured limit of 272000 tokens.
tokens in request more than max tokens allowed
Prompt 超长
token数量超过上限
输入内容过长，请减少
上下文长度超过模型限制
""".strip().splitlines()

OTHERWISE = """
Rate limit reached for gpt-4 on tokens per min (TPM): Limit 10000
max_tokens is too large: 5000. This model supports at most 4096 completion tokens
Range of max_tokens should be [1, 8192]
Unsupported parameter: 'max_tokens' is not supported with this model.
You exceeded your current quota, please check your plan
The model `x` does not exist
Too many tokens per day, please wait
context: deadline exceeded
the length of messages must be an odd number
token expired
messages: field required
""".strip().splitlines()


@pytest.mark.parametrize("text", TOO_LONG)
def test_a_prompt_is_too_long(text: str) -> None:
    assert tells_context_length(text)


@pytest.mark.parametrize("text", OTHERWISE)
def test_something_else_is_wrong(text: str) -> None:
    assert not tells_context_length(text)


@pytest.mark.parametrize("word", ["context ", "exceeds ", "exceed", "input token ", "max_", "输入"])
def test_long_texts_are_searched_in_no_time(word: str) -> None:
    began = time.process_time()
    tells_context_length(word * 100_000)
    assert time.process_time() - began < 0.1

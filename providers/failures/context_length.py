"""How servers say that a conversation is too long for the model. Pure.

Agents shorten their history on this failure and on no other, but most servers tell it only in
words. Gaps between words are bounded, so that a search takes linear time.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_TEXT: Final = 4000  # characters that are searched

_SAYINGS: Final = re.compile(
    "|".join(
        (
            # OpenAI, vLLM, SGLang, DeepSeek, OpenRouter, Groq, llama.cpp, LM Studio, Ollama
            r"context[ _-](?:length|window|size|limit)[ _]?(?:is |has been )?exceed",
            r"exceeds? (?:the )?maximum context|tokens in request more than max",
            r"(?:input|prompt) tokens?[^\n]{0,20} exceeds? the[^\n]{0,20} limit",
            r"exceed\w{0,3}[^\n]{0,60}\b(?:context|sequence)[ _-](?:length|window|size|limit)",
            r"\b(?:longer|larger|greater|more) than[^\n]{0,60}\bcontext (?:length|window|size)",
            r"\bcontext (?:length|window|size)(?: of(?: only)?| is(?: only)?|:)? ?\d+[^\n]{0,12}"
            r"(?:tokens?|, which|\.|$)",
            r"maximum (?:context|model|prompt|input|sequence) length",
            r"max(?:imum)?[_ ](?:model|seq(?:uence)?|context|input)[_ ]len(?:gth)?\b",
            r"reached (?:the )?context length",
            r"(?:does not|doesn't|not) fit (?:in|into|within) [^\n]{0,30}context",
            r"context the overflows|context overflow|context shift is disabled",
            r"too (?:big|large|long) (?:compared to (?:kv|context)|for (?:the )?(?:context|model "
            r"with|requested model|this model))",
            # Anthropic, Bedrock, Fireworks, Cohere, TGI, Together
            r"(?:prompt|input|conversation|context|query) (?:is |was )?too long",
            r"prompts? tokens? (?:is |are )?too long|too many (?:prompt |input )?tokens",
            r"tokens`?\s*\+\s*`?max_(?:new_)?tokens[^\n]{0,20}must be <=",
            r"must have less than \d+ tokens",
            r"reduce the length of (?:the|your) (?:messages|prompt|input|conversation)",
            r"(?:input|prompt) length and [^\n]{0,20}exceed",
            # Google, xAI, Copilot, Moonshot, Volcengine, SiliconFlow, Baidu, Qwen
            r"(?:input|prompt)? ?tokens? (?:count|length|limit)?[^\n]{0,40}exceeds? (?:the )?"
            r"(?:max\w*|limit|allowed)[^\n]{0,40}(?:tokens?|limit|length|\d)",
            r"exceed(?:s|ed)? (?:the )?(?:model(?:'s)? )?(?:token limit|max(?:imum)?[ _]"
            r"(?:message[ _]|input[ _]|prompt[ _]|allowed[ _]|content[ _])*(?:tokens?|length))",
            r"length of (?:prompt_tokens|input|messages|prompt)[^\n]{0,40}"
            r"(?:(?:must|should) be (?:less|smaller|lower|at most|no more|within|<|\[)|exceed)",
            r"range of input length should be",
            r"max(?:imum)? (?:input )?length of (?:current )?(?:question|input|messages)",
            r"(?:input|prompt)[^\n]{0,20}exceeds? (?:the )?(?:max(?:imum)?|limit)",
            r"prompt length \d+ is greater than",
            # The same in Chinese: too long, above the limit.
            r"(?:上下文|输入|提示词?|prompt|对话|请求)[^\n]{0,12}(?:过长|超长|太长|超出|超过|超限)",
            r"(?:token|tokens)\s?(?:数量?|总数|长度)?[^\n]{0,6}(?:超过上限|超过最大|超出|超限|超长)",
        )
    ),
    re.IGNORECASE,
)
# Words about the answer's length alone, or about a rate: the history is not at fault.
_OTHERWISE: Final = re.compile(
    r"per (?:min(?:ute)?|day|hour|second)|\btpm\b|\brpm\b|rate limit|quota|string too long"
    r"|at most \d+ completion tokens|range of max_tokens",
    re.IGNORECASE,
)


def tells_context_length(text: str) -> bool:
    """Tell whether an error's text says that the prompt is too long for the model."""
    text = text[:LONGEST_TEXT]
    return _SAYINGS.search(text) is not None and _OTHERWISE.search(text) is None

"""Calls and what their vendors charge for them, worked out by hand.

Each row: the model, the usage as the provider reports it, and the lines of the bill: quantity times
the price of a million, or of one for what is counted in pieces. The prices are those of the
vendors' pages as collected in platform.claude.com (2026-10), developers.openai.com (2026-11),
models.dev (2026-07-02), pydantic/genai-prices (2026-08-21) and Dify (2026-08-21, 2023-09-19).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

M: Final = 1_000_000


class Row(NamedTuple):
    model: str
    body: dict[str, Any]
    lines: list[tuple[Any, str, int]]


def chat(tokens: int, output: int, cached: int = 0, /, **more: Any) -> dict[str, Any]:
    """An answer in OpenAI's form."""
    details = {"cached_tokens": cached} | more.pop("prompt", {})
    return {
        "usage": {
            "prompt_tokens": tokens,
            "completion_tokens": output,
            "total_tokens": tokens + output,
            "prompt_tokens_details": details,
            "completion_tokens_details": more.pop("completion", {}),
        }
    } | more


def message(
    tokens: int, output: int, read: int = 0, minutes: int = 0, hour: int = 0, **more: Any
) -> dict[str, Any]:
    """An answer of Anthropic's, whose input leaves out what caches were used for."""
    usage = {
        "input_tokens": tokens,
        "output_tokens": output,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": minutes + hour,
        "cache_creation": {
            "ephemeral_5m_input_tokens": minutes,
            "ephemeral_1h_input_tokens": hour,
        },
        "service_tier": "standard",
        "inference_geo": "global",
    }
    return {"usage": usage | more}


def searches(number: int) -> dict[str, Any]:
    return {"server_tool_use": {"web_search_requests": number, "web_fetch_requests": 4}}


def mtok(*parts: tuple[int, str]) -> list[tuple[Any, str, int]]:
    return [(quantity, price, M) for quantity, price in parts]


def each(number: int, price: str) -> list[tuple[Any, str, int]]:
    return [(number, price, 1)]


OPUS, SONNET, HAIKU = "claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5-20251001"
LONG = 272_001
ROWS: Final = [
    # -- Anthropic: recorded answers
    Row("anthropic/claude-3-opus-20240229", message(22, 15), mtok((22, "15"), (15, "75"))),
    Row("anthropic/claude-sonnet-5", message(172, 194), mtok((172, "2"), (194, "10"))),
    Row("anthropic/claude-sonnet-5", message(30, 3), mtok((30, "2"), (3, "10"))),
    Row("anthropic/claude-sonnet-5", message(732, 58), mtok((732, "2"), (58, "10"))),
    Row("anthropic/claude-sonnet-5", message(925, 75), mtok((925, "2"), (75, "10"))),
    Row("anthropic/claude-sonnet-5", message(512, 26), mtok((512, "2"), (26, "10"))),
    Row("anthropic/claude-sonnet-5", message(549, 12), mtok((549, "2"), (12, "10"))),
    Row(f"anthropic/{OPUS}", message(34, 44), mtok((34, "5"), (44, "25"))),
    Row(f"anthropic/{HAIKU}", message(543, 40), mtok((543, "1"), (40, "5"))),
    # -- Anthropic: caches, searches, regions, fast mode
    Row(f"anthropic/{SONNET}", message(0, 0, hour=100_000), mtok((100_000, "6"))),
    Row(f"anthropic/{SONNET}", message(0, 0, minutes=100_000), mtok((100_000, "3.75"))),
    Row(f"anthropic/{SONNET}", message(0, 0, read=100_000), mtok((100_000, "0.30"))),
    Row(
        f"anthropic/{SONNET}",
        message(1_000, 500, read=2_000, minutes=3_000, hour=4_000),
        mtok((1_000, "3"), (500, "15"), (2_000, "0.30"), (3_000, "3.75"), (4_000, "6")),
    ),
    Row(
        f"anthropic/{HAIKU}",
        message(10, 20, read=30, minutes=40, hour=50),
        mtok((10, "1"), (20, "5"), (30, "0.10"), (40, "1.25"), (50, "2")),
    ),
    Row("anthropic/claude-opus-5", message(9, 9, hour=9), mtok((9, "5"), (9, "25"), (9, "10"))),
    Row(
        "anthropic/claude-opus-4-7",
        message(5, 5, minutes=70),
        mtok((5, "5"), (5, "25"), (70, "6.25")),
    ),
    Row("anthropic/claude-fable-5", message(7, 8, read=9), mtok((7, "10"), (8, "50"), (9, "1"))),
    Row(
        "anthropic/claude-fable-5-1", message(7, 8, read=9), mtok((7, "10"), (8, "50"), (9, "0.25"))
    ),
    Row(
        "anthropic/claude-sonnet-5-5", message(7, 8, read=9), mtok((7, "2"), (8, "10"), (9, "0.10"))
    ),
    Row("anthropic/claude-opus-5-5", message(1_234, 567), mtok((1_234, "4"), (567, "20"))),
    Row("anthropic/claude-haiku-5-5", message(100_000, 10), mtok((100_000, "0.10"), (10, "0.50"))),
    Row("anthropic/claude-haiku-5-5", message(100_001, 10), mtok((100_001, "0.50"), (10, "2.50"))),
    Row(
        f"anthropic/{SONNET}",
        message(1_000, 100, **searches(3)),
        [*mtok((1_000, "3"), (100, "15")), *each(3, "0.01")],
    ),
    Row(
        f"anthropic/{OPUS}",
        message(1_000, 100, inference_geo="us"),
        mtok((1_000, "5.5"), (100, "27.5")),
    ),
    Row(f"anthropic/{OPUS}", message(1_000, 100, speed="fast"), mtok((1_000, "30"), (100, "150"))),
    Row(
        "anthropic/claude-opus-4-8",
        message(1_000, 100, read=10, speed="fast"),
        mtok((1_000, "10"), (100, "50"), (10, "1")),
    ),
    Row(
        "anthropic/claude-sonnet-4-5-20250929",
        message(150_000, 10, read=50_001),
        mtok((150_000, "6"), (10, "22.5"), (50_001, "0.60")),
    ),
    # -- Anthropic of 2023
    Row("anthropic/claude-2", chat(1_000, 100), mtok((1_000, "11.02"), (100, "32.68"))),
    Row("anthropic/claude-instant-1", chat(1_000, 100), mtok((1_000, "1.63"), (100, "5.51"))),
    # -- OpenAI: recorded answers
    Row("openai/gpt-5-nano", chat(8, 377), mtok((8, "0.05"), (377, "0.40"))),
    Row("openai/gpt-5-nano", chat(22, 719), mtok((22, "0.05"), (719, "0.40"))),
    Row("openai/gpt-5-nano", chat(162, 219), mtok((162, "0.05"), (219, "0.40"))),
    Row("openai/gpt-5-nano", chat(12, 100), mtok((12, "0.05"), (100, "0.40"))),
    Row(
        "openai/text-embedding-3-small",
        {"usage": {"prompt_tokens": 7, "total_tokens": 7}},
        mtok((7, "0.02")),
    ),
    # -- OpenAI: caches, tiers of service, long prompts, audio
    Row(
        "openai/gpt-4o", chat(2_000, 300, 1_536), mtok((464, "2.50"), (1_536, "1.25"), (300, "10"))
    ),
    Row("openai/gpt-4.1", chat(2_000, 300, 1_024), mtok((976, "2"), (1_024, "0.50"), (300, "8"))),
    Row("openai/o3", chat(50, 900, service_tier="flex"), mtok((50, "1"), (900, "4"))),
    Row(
        "openai/gpt-5-mini",
        chat(80, 90, 40, service_tier="flex"),
        mtok((40, "0.125"), (40, "0.0125"), (90, "1")),
    ),
    Row("openai/gpt-5.4", chat(80, 90, service_tier="priority"), mtok((80, "5"), (90, "30"))),
    Row(
        "openai/gpt-5.4-mini",
        chat(80, 90, 20, service_tier="priority"),
        mtok((60, "1.50"), (20, "0.15"), (90, "9")),
    ),
    Row("openai/gpt-5.5", chat(80, 90, service_tier="priority"), mtok((80, "12.50"), (90, "75"))),
    Row("openai/gpt-6-sol", chat(80, 90, service_tier="default"), mtok((80, "2"), (90, "10"))),
    Row(
        "openai/gpt-6.2-sol",
        chat(900, 90, 100, prompt={"cache_write_tokens": 300}),
        mtok((500, "2"), (100, "0.10"), (300, "2.50"), (90, "10")),
    ),
    Row(
        "openai/gpt-5.6-terra",
        chat(900, 90, prompt={"cache_write_tokens": 300}),
        mtok((600, "2"), (300, "2.50"), (90, "12")),
    ),
    Row("openai/gpt-6-luna", chat(LONG, 10), mtok((LONG, "0.20"), (10, "0.75"))),
    Row("openai/gpt-6-luna", chat(LONG - 1, 10), mtok((LONG - 1, "0.10"), (10, "0.50"))),
    Row(
        "openai/gpt-6.2-astra",
        chat(LONG, 10, 1_000),
        mtok((271_001, "16"), (1_000, "0.80"), (10, "60")),
    ),
    Row("openai/gpt-5.5", chat(LONG, 10, service_tier="flex"), mtok((LONG, "5"), (10, "22.50"))),
    Row(
        "openai/gpt-4o-transcribe",
        {
            "usage": {
                "input_tokens": 14,
                "output_tokens": 5,
                "input_token_details": {"audio_tokens": 10},
            }
        },
        mtok((4, "2.50"), (10, "6"), (5, "10")),
    ),
    Row(
        "openai/gpt-4o-mini-transcribe",
        {
            "usage": {
                "input_tokens": 1,
                "output_tokens": 5,
                "input_token_details": {"audio_tokens": 1},
            }
        },
        mtok((1, "3"), (5, "5")),
    ),
    Row("openai/gpt-3.5-turbo", chat(1_000, 100), mtok((1_000, "0.50"), (100, "1.50"))),
    Row("openai/gpt-4", chat(1_000, 100), mtok((1_000, "30"), (100, "60"))),
    # -- Azure: recorded answers
    Row("azure_openai/gpt-5-nano", chat(8, 271), mtok((8, "0.05"), (271, "0.40"))),
    Row("azure_openai/gpt-4o", chat(14, 9), mtok((14, "2.50"), (9, "10"))),
    Row("azure_openai/gpt-5.1", chat(45, 24), mtok((45, "1.25"), (24, "10"))),
    # -- GLM: recorded answers
    Row("chatglm/glm-4.7", chat(13, 437), mtok((13, "0.60"), (437, "2.20"))),
    Row("chatglm/glm-5.2", chat(20, 67), mtok((20, "1.40"), (67, "4.40"))),
    Row("chatglm/glm-5.3", chat(120, 125, 100), mtok((20, "1.40"), (100, "0.26"), (125, "4.40"))),
    # -- MiniMax: recorded answers, and priority
    Row("minimax/MiniMax-M2", chat(32, 32), mtok((32, "0.30"), (32, "1.20"))),
    Row("minimax/MiniMax-M3", chat(188, 32, 114), mtok((74, "0.30"), (114, "0.06"), (32, "1.20"))),
    Row(
        "minimax/MiniMax-M3",
        chat(100, 10, service_tier="priority"),
        mtok((100, "0.45"), (10, "1.80")),
    ),
    # -- in yuan
    Row("tongyi/qwen3-max", chat(24, 1_355), mtok((24, "6"), (1_355, "24"))),
    Row("tongyi/qwen-plus", chat(18, 779), mtok((18, "0.80"), (779, "2"))),
    Row(
        "tongyi/qwen-plus",
        chat(18, 779, completion={"reasoning_tokens": 700}),
        mtok((18, "0.80"), (779, "8")),
    ),
    Row("tongyi/qwen-flash", chat(130_000, 10), mtok((130_000, "0.60"), (10, "6"))),
    Row(
        "wenxin/ernie-4.5-turbo-128k",
        chat(100, 33, 60),
        mtok((40, "0.80"), (60, "0.20"), (33, "3.20")),
    ),
    Row("wenxin/ernie-bot", chat(226, 17), mtok((226, "12"), (17, "12"))),
    Row("spark/generalv2", chat(1, 418), mtok((1, "36"), (418, "36"))),
    Row("spark/lite", chat(1, 8), []),
    Row(
        "deepseek/deepseek-flash",
        {"usage": {"prompt_tokens": 100, "completion_tokens": 10, "prompt_cache_hit_tokens": 64}},
        mtok((36, "0.30"), (64, "0.006"), (10, "1.20")),
    ),
]
# A quantity without a known price, and what the bill says of it.
UNKNOWN: Final = [
    ("anthropic/claude-opus-5-5", message(1, 1, hour=5), ("cache_write_1h",)),
    ("anthropic/claude-opus-5-5", message(1, 1, read=5), ("cached",)),
    ("anthropic/claude-sonnet-5", message(1, 1, service_tier="priority"), ("input", "output")),
    ("openai/gpt-4o", chat(1, 1, prompt={"audio_tokens": 1}), ("audio_input",)),
    ("openai/gpt-4o", chat(9, 1, service_tier="scale"), ("input", "output")),
    (
        "openai/gpt-4o",
        chat(9, 1, output=[{"type": "web_search_call"}, {"type": "file_search_call"}]),
        ("tool:web_search", "tool:file_search"),
    ),
    ("chatglm/glm-4.6v", chat(435, 73, 4), ("cached",)),
    ("tongyi/qwen3-max", chat(32_001, 1), ("usage",)),
]

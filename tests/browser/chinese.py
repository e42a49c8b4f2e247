"""P35: which English is left on a Chinese page. Names, codes and what people typed are the same in
every language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.provider_names import CLIENT_NAMES, provider_names

# Products, companies, standards, units and terms that Chinese readers write in Latin letters.
NAMES = frozenset(
    [
        "modelkeep",
        "openai",
        "anthropic",
        "azure",
        "chatglm",
        "glm",
        "zhipu",
        "bigmodel",
        "deepseek",
        "minimax",
        "tongyi",
        "qwen",
        "dashscope",
        "wenxin",
        "ernie",
        "qianfan",
        "baidu",
        "spark",
        "iflytek",
        "replicate",
        "hugging",
        "face",
        "hub",
        "huggingface",
        "inference",
        "endpoint",
        "endpoints",
        "apikey",
        "apisecret",
        "apipassword",
        "appid",
        "claude",
        "codex",
        "cohere",
        "gpt",
        "whisper",
        "llama",
        "cpp",
        "vllm",
        "ollama",
        "xinference",
        "localai",
        "lm",
        "studio",
        "studio",
        "demo",
        "google",
        "aws",
        "github",
        "stripe",
        "entra",
        "modelscope",
        "alibaba",
        "cloud",
        "moonshot",
        "kimi",
        "api",
        "rest",
        "http",
        "https",
        "url",
        "uri",
        "json",
        "csv",
        "yaml",
        "env",
        "sse",
        "id",
        "ids",
        "ip",
        "ssl",
        "tls",
        "cors",
        "cookie",
        "csrf",
        "html",
        "markdown",
        "pem",
        "rsa",
        "aes",
        "oaep",
        "gcm",
        "sha",
        "utc",
        "smtp",
        "otp",
        "cpu",
        "python",
        "curl",
        "javascript",
        "sdk",
        "django",
        "postgresql",
        "sqlite",
        "redis",
        "docker",
        "openapi",
        "schema",
        "swagger",
        "token",
        "tokens",
        "embedding",
        "embeddings",
        "rerank",
        "prompt",
        "bearer",
        "authorization",
        "app",
        "chat",
        "base",
        "key",
        "keys",
        "iam",
        "usd",
        "cny",
        "eur",
        "rpm",
        "tpm",
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "options",
        "head",
        "ctrl",
        "shift",
        "enter",
        "esc",
        "tab",
        "ms",
        "wav",
        "mp3",
        "m4a",
        "webm",
        "flac",
        "ogg",
        "pcm",
        "mib",
        "kib",
        "khz",
        "english",
        "mk",
        "mk_live",
        "sk",
        "ark",
        "bce",
        "ak",
        "appid",
        "appsecret",
        "apipassword",
        "apisecret",
        "microsoft",
        "turbo",
        "mini",
        "nano",
        "pro",
        "codex",
        "luna",
        "sol",
        "terra",
        "astra",
        "transcribe",
        "diarize",
        "aac",
        "opus",
        "jina",
        # Formats of OpenAI and Anthropic, named as their paths are.
        "completions",
        "messages",
        "moderations",
        "speech",
        "transcriptions",
        "translations",
    ]
)
# What the tests' own worlds are called.
OURS = frozenset(
    [
        "acme",
        "fresh",
        "start",
        "huge",
        "spent",
        "long",
        "owner",
        "admin",
        "editor",
        "viewer",
        "default",
        "main",
        "backup",
        "production",
        "support",
        "bot",
        "search",
        "index",
        "batch",
        "job",
        "application",
        "incorrect",
        "provided",
        "the",
        "provider",
        "said",
        "invalid",
        "ada",
        "grace",
        "newcomer",
        "operator",
        "everything",
        "notebook",
        "first",
        "zzzz",
        "states",
        "website",
        "demonstration",
        "left",
        "behind",
        "old",
        "import",
        "revoked",
        "linus",
        "barbara",
        "throttled",
        "spent",
        "europe",
    ]
)
# Names of more than one word, voices, and fields and values that are typed or sent as they stand.
PHRASES = re.compile(
    r"Azure OpenAI Service|Cognitive Services OpenAI User|Inference Providers|Inference "
    r"Endpoints?|MaaS|alloy|Omni Moderation"
    r"|Make calls to Inference Providers|Realtime API|\b(?:Messages|Responses)\b|\bTop P\b"
    r"|Python · requests|“tools”|vision, tools, json_schema|json_schema, tools, vision"
    r"|^reasoning$|^权限范围 (?:use|read|manage)$"
    # what a model answered and what was typed
    r"|Demo answer \(no model was called\)\. You wrote: |Say hello"
)
WORD = re.compile(r"[A-Za-z][A-Za-z']*")
# Identifiers, addresses, model names, codes: anything with digits, dots, slashes, underscores, @ or
# hyphens in it.
CODE = re.compile(r"\S*[\d@/_\\.:$<>{}=#%+*-]\S*|…\S*|\S*…|•+\w*")


def left(texts: Iterable[str]) -> list[str]:
    """Texts with a word of English that stands in no list."""
    return sorted({text[:120] for text in texts if words(text)})


def words(text: str) -> list[str]:
    text = CLIENT_NAMES.sub(" ", PHRASES.sub(" ", text))
    plain = CODE.sub(
        lambda found: (
            " "
            if re.search(r"[A-Za-z0-9]", found[0]) and not re.search(r"[\u4e00-\u9fff]", found[0])
            else found[0]
        ),
        text,
    )
    plain = re.sub(r"[A-Za-z0-9]*[\d@/_\\.:$<>{}=#-]+[A-Za-z0-9._/:-]+", " ", plain)
    found = [word for word in WORD.findall(plain) if len(word) > 1 and word not in provider_names()]
    return [
        word
        for word in found
        if word.lower().rstrip("'s") not in NAMES | OURS
        and word.lower() not in NAMES | OURS
        and not _typed(word)
    ]


def _typed(word: str) -> bool:
    return word.lower().startswith("donaudampf") or "schifffahrt" in word.lower() or word.isupper()

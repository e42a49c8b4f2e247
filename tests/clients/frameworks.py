"""Frameworks for applications, with their defaults. Each is a script in python/ or node/ that says
what it checked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.clients import node_packages
from tests.clients.guides import guide_of, set_up
from tests.clients.hub import EMBEDDINGS, MODELS, Hub
from tests.clients.results import Result, run
from tests.fakes.scripted.plan import TEXT
from tests.source import ROOT

HERE = Path(__file__).resolve().parent
# Vendors whose formats differ; the agents try all.
VENDORS = ("openai", "anthropic", "demo")
# For frameworks that put calls and formats into their prompts, which the Demo doesn't read.
SCRIPTED = ("openai", "anthropic")
# For frameworks that send names without the provider: only these have theirs to themselves.
NAMED_ALONE = ("anthropic", "demo")


@dataclass(frozen=True)
class Framework:
    """formats: of the API that it uses. lock: of its environment, a file in the root; empty for
    Node. vendors: with which it runs.
    """

    name: str
    package: str
    script: str
    formats: Sequence[str]
    lock: str = "requirements-clients.txt"
    vendors: Sequence[str] = VENDORS

    @property
    def guide(self) -> str:
        """The name in the table of clients, if there is a guide."""
        return self.name

    @property
    def version(self) -> str:
        return self.version_of(self.package)

    def version_of(self, package: str) -> str:
        """Return the version of a package in the framework's environment."""
        if not self.lock:
            return node_packages.version_of(package)
        text = (ROOT / self.lock).read_text(encoding="utf-8")
        return re.search(rf"^{package}==(\S+)", text, re.MULTILINE)[1]  # type: ignore[index]

    @property
    def interpreter(self) -> str:
        if not self.lock:
            return str(node_packages.NODE_BIN / "node")
        venv = self.lock.removeprefix("requirements").removesuffix(".txt")
        return str(ROOT / f".venv{venv}" / "bin" / "python")

    @property
    def command(self) -> list[str]:
        folder = HERE / ("python" if self.lock else "node")
        return [self.interpreter, str(folder / self.script)]


def results(
    framework: Framework, hub: Hub, vendors: Sequence[str], folder: Path
) -> Iterator[Result]:
    for vendor in framework.vendors:
        if vendor in vendors:
            yield from _guided(framework, hub, vendor, folder)
            yield from _checked(framework, hub, vendor, folder)


def _guided(framework: Framework, hub: Hub, vendor: str, folder: Path) -> Iterator[Result]:
    """Run the program of the framework's guide, if there is one."""
    guide = guide_of(framework.guide)
    if guide is None:
        return
    home = folder / f"{framework.name}-{vendor}"
    home.mkdir()
    (home / "node_modules").symlink_to(node_packages.PACKAGES)
    setup = set_up(guide, home, hub, MODELS[vendor])
    command = [framework.interpreter, *setup.command[1:]]
    output = run(command, folder=home, env=_environment(home) | setup.env)
    wanted = TEXT if vendor != "demo" else "You wrote: Hello"
    yield Result(
        framework.name, framework.version, MODELS[vendor], "guide", wanted in output, output
    )


def _environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        # Prices would be fetched from the network.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def _checked(framework: Framework, hub: Hub, vendor: str, folder: Path) -> Iterator[Result]:
    env = {
        **_environment(folder),
        "BASE_URL": hub.base,
        "API_KEY": hub.key,
        "MODEL": MODELS[vendor],
        "EMBEDDINGS": EMBEDDINGS,
        "SAYS": TEXT if vendor != "demo" else "You wrote: hi",
        "PYTHONPATH": str(HERE / "python"),
    }
    output = run(framework.command, folder=folder, env=env)
    lines = re.findall(r"^CHECK (\{.*\})$", output, re.MULTILINE)
    checks = [json.loads(line) for line in lines]
    if not checks or "ENDED" not in output:
        checks.append({"step": "start", "problem": output})
    for check in checks:
        passed = not check["problem"]
        yield Result(
            framework.name,
            framework.version,
            MODELS[vendor],
            check["step"],
            passed,
            check["problem"],
        )


_OLDER = "requirements-clients-older.txt"
_CHAT = ("chat",)
_BOTH = ("chat", "Responses")
_ALL = ("chat", "Responses", "Messages")
FRAMEWORKS = (
    Framework("OpenAI SDK", "openai", "libraries/openai_sdk.py", _BOTH),
    Framework("Anthropic SDK", "anthropic", "libraries/anthropic_sdk.py", ("Messages",)),
    Framework("LangChain", "langchain", "agents/langchain_all.py", _ALL),
    Framework("pydantic-ai", "pydantic-ai-slim", "agents/pydantic_ai_agents.py", _BOTH),
    Framework("OpenAI Agents SDK", "openai-agents", "agents/openai_agents.py", ("Responses",)),
    Framework("litellm", "litellm", "libraries/litellm_calls.py", ("chat", "Messages")),
    Framework("smolagents", "smolagents", "agents/smolagents_code.py", _CHAT, vendors=SCRIPTED),
    Framework("Haystack", "haystack-ai", "agents/haystack_agent.py", _CHAT),
    Framework("agno", "agno", "agents/agno_agent.py", _BOTH),
    Framework("DSPy", "dspy", "libraries/dspy_modules.py", _CHAT, vendors=SCRIPTED),
    Framework("AutoGen", "autogen-ext", "agents/autogen_agent.py", _CHAT),
    Framework("LlamaIndex", "llama-index-core", "agents/llama_index_agent.py", _BOTH, _OLDER),
    Framework("Strands", "strands-agents", "agents/strands_agent.py", _CHAT, _OLDER),
    Framework("Mirascope", "mirascope", "libraries/mirascope_calls.py", _CHAT, _OLDER, NAMED_ALONE),
    Framework("instructor", "instructor", "libraries/instructor_calls.py", _BOTH, _OLDER),
    Framework("AI SDK", "ai", "ai_sdk.mjs", _ALL, ""),
    Framework("LangChain.js", "langchain", "langchain_js.mjs", _BOTH, ""),
    Framework("OpenAI Agents SDK (JS)", "@openai/agents", "openai_agents.mjs", ("Responses",), ""),
)

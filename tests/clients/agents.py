"""Coding agents without a terminal: a turn of text, one with a tool, and a loop of three tools.

Each agent gets a home of its own with nothing in it but its settings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from providers.wire.demo.chat import SAYS_DEMO
from tests.clients.hub import MODELS, Hub
from tests.clients.node_packages import NODE_BIN, PACKAGES, version_of
from tests.clients.results import Result, run
from tests.fakes.scripted.plan import TEXT

Env = dict[str, str]
# What a shell prints says that it ran: the sum is not in the prompt.
ECHO = "echo hello-$((40+2))"
ANSWER = "hello-42"
FILE = "note.txt"
NOTE = "noted-42"
SUM = "sum-$((6*7))"


@dataclass(frozen=True)
class Agent:
    """formats: of the API that it uses. prepare: writes its settings into the home; returns
    environment and options. shell, reader: a call of its tool with a command, or with a file.
    """

    name: str
    package: str
    formats: Sequence[str]
    prepare: Callable[[Path, Hub, str], tuple[Env, list[str]]]
    shell: Callable[[str], str]
    reader: Callable[[Path], str]

    @property
    def version(self) -> str:
        return version_of(self.package)

    @property
    def vendors(self) -> Sequence[str]:
        return list(MODELS)

    def steps(self, home: Path) -> dict[str, tuple[str, list[str]]]:
        """Name -> (prompt, what must be printed)."""
        write = self.shell(f"echo {NOTE} > {FILE}; {ECHO}")
        add = self.shell(f"echo {SUM}")
        return {
            "text": ("hi", [TEXT]),
            "tool": (self.shell(ECHO), [ANSWER]),
            "three tools": (write + self.reader(home / FILE) + add, [ANSWER, NOTE, "sum-42"]),
        }


def call(tool: str, **arguments: object) -> str:
    return f"CALL:{tool}:{json.dumps(arguments)}END "


def results(agent: Agent, hub: Hub, model: str, folder: Path) -> Iterator[Result]:
    home = folder / f"{agent.name}-{model.partition('/')[0]}"
    home.mkdir(parents=True)
    env, command = agent.prepare(home, hub, model)
    env = {"PATH": f"{NODE_BIN}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8"} | env
    for step, (prompt, wanted) in agent.steps(home).items():
        output = run([*command, prompt], folder=home, env=env)
        # The prompt is sometimes printed too. The Demo repeats it, and only the last result.
        if model == MODELS["demo"]:
            wanted = [f"{SAYS_DEMO} You wrote:", prompt] if step == "text" else wanted[-1:]
        answer = output.replace(prompt, "") if step != "text" else output
        passed = all(text in answer for text in wanted)
        yield Result(agent.name, agent.version, model, step, passed, output)


def _program(name: str) -> str:
    return str(PACKAGES / ".bin" / name)


def claude_code(home: Path, hub: Hub, model: str) -> tuple[Env, list[str]]:
    env = {
        "ANTHROPIC_BASE_URL": hub.url,
        "ANTHROPIC_AUTH_TOKEN": hub.key,
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_SMALL_FAST_MODEL": model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    # --allowedTools takes all arguments up to the next option.
    return env, [_program("claude"), "--allowedTools", "Bash", "Read", "-p"]


def codex(home: Path, hub: Hub, model: str) -> tuple[Env, list[str]]:
    settings = f"""\
model = "{model}"
model_provider = "modelkeep"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.modelkeep]
name = "Modelkeep"
base_url = "{hub.base}"
env_key = "MODELKEEP_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
    folder = home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(settings)
    return {"MODELKEEP_KEY": hub.key}, [_program("codex"), "exec", "--skip-git-repo-check"]


def opencode(home: Path, hub: Hub, model: str) -> tuple[Env, list[str]]:
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "model": f"modelkeep/{model}",
        "small_model": f"modelkeep/{model}",
        "provider": {
            "modelkeep": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Modelkeep",
                "options": {"baseURL": hub.base, "apiKey": hub.key},
                "models": {model: {"name": model}},
            }
        },
    }
    (home / "opencode.json").write_text(json.dumps(settings))
    return {}, [_program("opencode"), "run"]


def continue_cli(home: Path, hub: Hub, model: str) -> tuple[Env, list[str]]:
    settings = f"""\
name: Modelkeep
version: 0.0.1
schema: v1
models:
  - name: Modelkeep
    provider: openai
    model: {model}
    apiBase: {hub.base}
    apiKey: {hub.key}
    roles: [chat]
    capabilities: [tool_use]
"""
    (home / "config.yaml").write_text(settings)
    env = {"CONTINUE_TELEMETRY_ENABLED": "0"}
    options = ["--config", "config.yaml", "--allow", "Bash", "--allow", "Read"]
    return env, [_program("cn"), *options, "-p"]


def qwen_code(home: Path, hub: Hub, model: str) -> tuple[Env, list[str]]:
    env = {"OPENAI_API_KEY": hub.key, "OPENAI_BASE_URL": hub.base, "OPENAI_MODEL": model}
    return env, [_program("qwen"), "--auth-type", "openai", "--yolo", "-p"]


def _codex_shell(command: str) -> str:
    """Call the shell as Codex offers it to models that it knows (a script), and to others."""
    script = f"text((await tools.exec_command({json.dumps({'cmd': command})})).output);"
    return call("exec", input=script) + call("exec_command", cmd=command)


AGENTS = (
    Agent(
        "Claude Code",
        "@anthropic-ai/claude-code",
        ["Messages"],
        claude_code,
        shell=lambda command: call("Bash", command=command, description="Say it"),
        reader=lambda path: call("Read", file_path=str(path)),
    ),
    Agent(
        "Codex",
        "@openai/codex",
        ["Responses"],
        codex,
        shell=_codex_shell,
        reader=lambda path: _codex_shell(f"cat {path}"),
    ),
    Agent(
        "opencode",
        "opencode-ai",
        ["chat"],
        opencode,
        shell=lambda command: call("bash", command=command, description="Say it"),
        reader=lambda path: call("read", filePath=str(path)),
    ),
    Agent(
        "Continue CLI",
        "@continuedev/cli",
        ["chat"],
        continue_cli,
        shell=lambda command: call("Bash", command=command),
        reader=lambda path: call("Read", filepath=str(path)),
    ),
    Agent(
        "Qwen Code",
        "@qwen-code/qwen-code",
        ["chat"],
        qwen_code,
        # On a busy machine it misses what a command prints just before it ends.
        shell=lambda command: call(
            "run_shell_command", command=f"{command}; sleep 1", is_background=False
        ),
        reader=lambda path: call("read_file", file_path=str(path)),
    ),
)

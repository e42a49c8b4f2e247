"""Coding agents without a terminal: a turn of text, one with a tool, and a loop of three tools.

Each agent gets a home of its own with nothing in it but its settings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from providers.wire.demo.chat import SAYS_DEMO
from tests.clients.guides import guide_of, set_up
from tests.clients.hub import MODELS, Hub
from tests.clients.node_packages import NODE_BIN, PACKAGES, version_of
from tests.clients.results import Result, run
from tests.fakes.scripted.plan import TEXT

# What a shell prints says that it ran: the sum is not in the prompt.
ECHO = "echo hello-$((40+2))"
ANSWER = "hello-42"
FILE = "note.txt"
NOTE = "noted-42"
SUM = "sum-$((6*7))"


@dataclass(frozen=True)
class Agent:
    """formats: of the API that it uses. program, options, env: beside what the guide says, to run
    it without a person. shell, reader: a call of its tool with a command, or with a file.
    guide_name: in the table of clients, whose settings it gets, if that is another one.
    """

    name: str
    package: str
    formats: Sequence[str]
    program: str
    options: Sequence[str]
    shell: Callable[[str], str]
    reader: Callable[[Path], str]
    env: Mapping[str, str] = field(default_factory=dict)
    guide_name: str = ""

    @property
    def guide(self) -> str:
        return self.guide_name or self.name

    @property
    def version(self) -> str:
        return self.version_of(self.package)

    def version_of(self, package: str) -> str:
        return version_of(package)

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
    guide = guide_of(agent.guide)
    assert guide is not None
    setup = set_up(guide, home, hub, model)
    env = {"PATH": f"{NODE_BIN}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8"}
    env |= setup.env | agent.env
    program = str(PACKAGES / ".bin" / agent.program)
    command = [program, *setup.command[1:], *agent.options]
    for step, (prompt, wanted) in agent.steps(home).items():
        output = run([*command, prompt], folder=home, env=env)
        # The prompt is sometimes printed too. The Demo repeats it, and only the last result.
        if model == MODELS["demo"]:
            wanted = [f"{SAYS_DEMO} You wrote:", prompt] if step == "text" else wanted[-1:]
        answer = output.replace(prompt, "") if step != "text" else output
        passed = all(text in answer for text in wanted)
        yield Result(agent.name, agent.version, model, step, passed, output)


def _codex_shell(command: str) -> str:
    """Call the shell as Codex offers it to models that it knows (a script), and to others."""
    script = f"text((await tools.exec_command({json.dumps({'cmd': command})})).output);"
    return call("exec", input=script) + call("exec_command", cmd=command)


AGENTS = (
    Agent(
        "Claude Code",
        "@anthropic-ai/claude-code",
        ["Messages"],
        "claude",
        # --allowedTools takes all arguments up to the next option.
        ["--allowedTools", "Bash", "Read", "-p"],
        shell=lambda command: call("Bash", command=command, description="Say it"),
        reader=lambda path: call("Read", file_path=str(path)),
        env={"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"},
    ),
    Agent(
        "Codex",
        "@openai/codex",
        ["Responses"],
        "codex",
        ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"],
        shell=_codex_shell,
        reader=lambda path: _codex_shell(f"cat {path}"),
    ),
    Agent(
        "opencode",
        "opencode-ai",
        ["chat"],
        "opencode",
        ["run"],
        shell=lambda command: call("bash", command=command, description="Say it"),
        reader=lambda path: call("read", filePath=str(path)),
        env={"OPENCODE_DISABLE_AUTOUPDATE": "1"},
    ),
    Agent(
        "Continue CLI",
        "@continuedev/cli",
        ["chat"],
        "cn",
        ["--allow", "Bash", "--allow", "Read", "-p"],
        shell=lambda command: call("Bash", command=command),
        reader=lambda path: call("Read", filepath=str(path)),
        env={"CONTINUE_TELEMETRY_ENABLED": "0"},
        guide_name="Continue",
    ),
    Agent(
        "Qwen Code",
        "@qwen-code/qwen-code",
        ["chat"],
        "qwen",
        ["--yolo", "-p"],
        # Without a terminal it takes what was printed at the shell's exit, not at the pipe's end.
        shell=lambda command: call(
            "run_shell_command", command=f"{command}; sleep 1", is_background=False
        ),
        reader=lambda path: call("read_file", file_path=str(path)),
    ),
)

"""Runs Python files and modules with one set of settings, each in a fork of a process in which
Django is set up already.

`with CommandServer(environment) as commands: commands.run("manage.py", "check")`. A command behaves
as in a process of its own: own memory, own exit code, own output. What it saves is the start of
Django, a second or two for each command.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO

REPOSITORY = Path(__file__).resolve().parent.parent
PATIENCE = 600  # seconds


class CommandServer:
    """Starts with the first command."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> CommandServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run what `python ARGUMENTS` would run: a file, or a module after "-m"."""
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps(arguments), file=process.stdin, flush=True)
            if not select.select([process.stdout], [], [], PATIENCE)[0]:
                process.kill()
                raise AssertionError(f"{arguments} took more than {PATIENCE} s")
            answer = process.stdout.readline()
        assert answer, f"{arguments}: the command server ended with {process.wait(10)}"
        return subprocess.CompletedProcess(arguments, **json.loads(answer))

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.command_server"],
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._process


def main() -> None:
    """Answer each line, a list of arguments in JSON, with a line {"returncode", "stdout",
    "stderr"}.
    """
    import django

    django.setup()
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            child = os.fork()
            if child == 0:
                become(json.loads(line), output, errors)
                return
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            answer = {"returncode": code, "stdout": read(output), "stderr": read(errors)}
        print(json.dumps(answer), flush=True)


def become(arguments: list[str], output: IO[bytes], errors: IO[bytes]) -> None:
    """In the fork: take the place of `python ARGUMENTS`."""
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    main()

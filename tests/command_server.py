"""Runs Python files and modules with one set of settings, each in a fork of a process in which
Django is set up and the pages are loaded already.

`with CommandServer(environment) as commands: commands.run("manage.py", "check")`. A command behaves
as in a process of its own: own memory, own exit code, own output. What it saves is the start of
Django, a second or two for each command.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parent.parent
PATIENCE = 600  # seconds


class Program:
    """A program that runs until it is ended. It is no child of this process, which so holds a file
    descriptor in its place.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def has_ended(self, seconds: float = 0) -> bool:
        """Whether it ends within so many seconds."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def end(self, *, within: float) -> None:
        """Ask it to end; it is killed with all of its processes if it takes longer."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)
        if not self.has_ended(within):
            os.killpg(self.pid, signal.SIGKILL)
            self.has_ended(within)
        os.close(self._descriptor)


class CommandServer:
    """Starts with the first command.

    Args:
        environment: Of all commands.
        modules: What they share beside Django, imported once.
    """

    def __init__(
        self, environment: dict[str, str], modules: tuple[str, ...] = ("config.urls",)
    ) -> None:
        self.environment = dict(environment)
        self._modules = modules
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
        self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run what `python ARGUMENTS` would run: a file, or a module after "-m"."""
        return subprocess.CompletedProcess(arguments, **self._ask(arguments))

    def begin(self, *arguments: str, log: Path) -> Program:
        """Begin what `python ARGUMENTS` would run, in a session of its own; what it prints is added
        to the file.
        """
        return Program(self._ask(arguments, str(log))["pid"])

    def _ask(self, arguments: tuple[str, ...], log: str = "") -> Any:
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps([arguments, log]), file=process.stdin, flush=True)
            if not select.select([process.stdout], [], [], PATIENCE)[0]:
                process.kill()
                raise AssertionError(f"{arguments} took more than {PATIENCE} s")
            answer = process.stdout.readline()
        assert answer, f"{arguments}: the command server ended with {process.wait(10)}"
        return json.loads(answer)

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.command_server", *self._modules],
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._process


def main(*modules: str) -> None:
    """Answer each line, [arguments, log] in JSON, with a line: {"returncode", "stdout", "stderr"},
    or {"pid"} of what goes on and prints into the file `log`.
    """
    import django

    django.setup()
    for module in modules:
        import_module(module)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        arguments, log = json.loads(line)
        answer = begin(arguments, log) if log else run(arguments)
        if answer is None:
            return
        print(json.dumps(answer), flush=True)
        reap()
    reap()


def run(arguments: list[str]) -> dict[str, Any] | None:
    """Run a command in a fork, where this returns nothing."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            become(arguments, output, errors)
            return None
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return {"returncode": code, "stdout": read(output), "stderr": read(errors)}


def begin(arguments: list[str], log: str) -> dict[str, Any] | None:
    """Begin a program in a fork, where this returns nothing when it ends."""
    with open(log, "ab") as output:
        child = os.fork()
        if child == 0:
            os.setsid()
            become(arguments, output, output)
            return None
    return {"pid": child}


def reap() -> None:
    """Take note of programs that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


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
    main(*sys.argv[1:])

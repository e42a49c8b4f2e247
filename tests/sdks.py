"""SDKs that are imported when a test first uses them, as `sdks.anthropic`: a worker of pytest
imports every test file, but runs the tests of some.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import anthropic as anthropic
    import openai as openai


def __getattr__(name: str) -> ModuleType:
    if name not in ("anthropic", "openai"):
        raise AttributeError(name)
    return import_module(name)

"""The TOML file of each provider: where it is, and how it is read.

A file is read by two apps: `[provider]`, which declares a provider without an adapter, by
providers; the models, which are facts, by models_catalog. It is one file so that everything about a
provider stands in one place.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "models_catalog" / "data"


class BadFile(RuntimeError):
    """A provider's file that cannot be used. The message names the file, what is wrong, and what is
    allowed.
    """

    def __init__(self, slug: str, problem: str) -> None:
        super().__init__(f"{name_of(slug)}: {problem}")


def name_of(slug: str) -> str:
    """Return the file's path in the repository, for messages."""
    return f"models_catalog/data/{slug}.toml"


def slugs() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(slug: str) -> dict[str, Any]:
    """Return the parsed file, with exact decimals.

    Raises:
        BadFile: The file is missing or not TOML.
    """
    try:
        text = (FOLDER / f"{slug}.toml").read_text(encoding="utf-8")
        return tomllib.loads(text, parse_float=Decimal)
    except FileNotFoundError:
        raise BadFile(slug, "The file is missing.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(slug, f"{error}.") from error

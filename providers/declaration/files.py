"""Location and parsing of the providers' TOML files.

Each file holds everything about one provider: this app reads its `[provider]` table, which declares
a provider without an adapter, and models_catalog reads the facts about its models.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "models_catalog" / "data"


class BadFile(RuntimeError):
    """An invalid provider file. The message names the file, the problem and what is allowed."""

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
        BadFile: The file is missing or is not valid TOML.
    """
    try:
        text = (FOLDER / f"{slug}.toml").read_text(encoding="utf-8")
        return tomllib.loads(text, parse_float=Decimal)
    except FileNotFoundError:
        raise BadFile(slug, "The file is missing.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(slug, f"{error}.") from error

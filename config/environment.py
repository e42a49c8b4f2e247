"""Read environment variables with one-line errors that name the variable but not its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
_KINDS = {int: "a whole number", float: "a number"}


class Environment(environ.FileAwareEnv):  # type: ignore[misc]  # the package is untyped
    """An environment in which each variable NAME may also be given as NAME_FILE.

    Attributes:
        names: The variables that were asked for.

    Raises:
        ImproperlyConfigured: A value cannot be read or has the wrong type.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get_value(self, var: str, cast: Any = None, *arguments: Any, **options: Any) -> Any:
        self.names.add(var)
        try:
            return super().get_value(var, cast, *arguments, **options)
        except OSError as error:
            raise ImproperlyConfigured(
                f"{var}_FILE names a file that cannot be read: {error.filename}: {error.strerror}."
            ) from None
        except UnicodeDecodeError:
            raise ImproperlyConfigured(f"{var}_FILE names a file that is not text.") from None
        except ValueError:
            raise ImproperlyConfigured(
                f"{var} must be {_KINDS.get(cast, 'of another type')}."
            ) from None

    def seconds(self, var: str, *, default: float, zero: bool = False) -> Any:
        """Return a number above 0, whole if the default is: with 0, timers would never rest.

        Args:
            zero: 0 is allowed too.
        """
        value = self.get_value(var, type(default), default=default)
        if not (0 < value < float("inf") or (zero and value == 0)):
            raise ImproperlyConfigured(
                f"{var} must be a number of seconds {'from 0 on' if zero else 'above 0'}."
            )
        return value

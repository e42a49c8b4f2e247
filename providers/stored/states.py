"""The states of a batch before it is created. No provider's word for a state has parentheses."""

from __future__ import annotations

from typing import Final

HOLDING: Final = "(holding)"  # the provider was not asked
ASKED: Final = "(asked)"  # it may have created the batch
PENDING: Final = frozenset({HOLDING, ASKED})

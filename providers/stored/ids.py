"""The ids of files and batches that callers get.

An id is sealed for its workspace and names the provider, the account and the provider's own id: no
other workspace can use it, and nobody can make one for a file that he was not given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from providers.models import STORED_ID_LENGTH
from tenants.crypto.keys import IdSeal

LONGEST: Final = 512  # characters of an id
# A provider's id becomes part of a path.
_SOUND: Final = re.compile(rf"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._:-]{{0,{STORED_ID_LENGTH - 1}}}")
_UUID_BYTES: Final = 16


class Kind(StrEnum):
    """What an id is of: the beginning that OpenAI's and Anthropic's ids have."""

    FILE = "file-"
    BATCH = "batch_"
    MESSAGE_BATCH = "msgbatch_"


@dataclass(frozen=True, slots=True)
class Identity:
    """What an id stands for. `account_id`: see owners.py."""

    provider: str
    account_id: UUID
    provider_id: str


def is_sound(provider_id: Any) -> bool:
    """Tell whether what a provider calls an id can be one."""
    return isinstance(provider_id, str) and _SOUND.fullmatch(provider_id) is not None


def public_id(kind: Kind, identity: Identity, *, tenant_id: UUID) -> str:
    """Return the id that callers of a workspace get, which is always the same."""
    names = f"{kind}{identity.provider}/{identity.provider_id}".encode()
    return kind + IdSeal(tenant_id).seal(identity.account_id.bytes + names)


def identity_of(kind: Kind, text: str, *, tenant_id: UUID) -> Identity | None:
    """Return what an id of this workspace stands for; None, without a reason, for anything else."""
    if not text.startswith(kind) or len(text) > LONGEST:
        return None
    opened = IdSeal(tenant_id).open(text.removeprefix(kind))
    if opened is None:
        return None
    names = opened[_UUID_BYTES:].decode()
    if not names.startswith(kind):
        return None
    provider, _slash, provider_id = names.removeprefix(kind).partition("/")
    return Identity(provider, UUID(bytes=opened[:_UUID_BYTES]), provider_id)

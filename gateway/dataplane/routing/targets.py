"""Routes, their targets, and the sources that pay for calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote
from uuid import UUID

from gateway.dataplane.errors import Refusal
from gateway.dataplane.routing.health import Health
from gateway.dataplane.threads import in_thread
from models_catalog.resolution.entries import PriceHistory
from providers.declaration.spec import Access, ModelFacts, Provider

ATTEMPTS: Final = 12  # maximum per call, over all targets and sources
# What Python takes; a source holds its row and what was opened of it.
TARGET_BYTES: Final = 1024
SOURCE_BYTES: Final = 2816


@dataclass(slots=True)
class Source:
    """What pays for a call: one of the tenant's credentials, or a trial.

    Args:
        label: The source's name in the call record.
        pool_key: Connections are pooled under this key.
        opened: Access and secret texts, set on first use.
    """

    label: str
    pool_key: str
    load: Callable[[], tuple[Access, tuple[str, ...]]]
    credential_id: UUID | None = None
    pool_id: int | None = None
    credits: int = 0
    health: Health = field(default_factory=Health)
    header: bytes = b""
    opened: tuple[Access, tuple[str, ...]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.header = quote(self.label, safe=" :/-_.,()@+").encode()

    @property
    def is_trial(self) -> bool:
        return self.pool_id is not None

    async def open(self) -> tuple[Access, tuple[str, ...]]:
        """Decrypt the stored values.

        Raises:
            CredentialUnreadable: The values cannot be decrypted.
            DatabaseUnavailable: The database is unavailable.
        """
        self.opened = await in_thread(self.load)
        return self.opened


@dataclass(slots=True)
class Target:
    """One model at one provider, with the sources to try in order.

    Args:
        refusal: Why there are no sources, if there are none.
    """

    provider: Provider
    model: str
    facts: ModelFacts
    prices: PriceHistory
    sources: tuple[Source, ...]
    refusal: Refusal | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.headers = [
            (b"x-modelkeep-provider", self.provider.slug.encode()),
            (b"x-modelkeep-model", quote(self.model, safe="/:@-_.+ ").encode()),
        ]


@dataclass(slots=True)
class Route:
    """All targets for a name, the requested one first."""

    scenario: str
    targets: tuple[Target, ...]

    @property
    def size(self) -> int:
        """About the bytes that it takes in memory."""
        sources = sum(len(target.sources) for target in self.targets)
        return TARGET_BYTES * len(self.targets) + SOURCE_BYTES * sources

    def attempts(self, now: float) -> Iterator[tuple[Target, Source]]:
        """Yield the attempts to make, in order.

        Within a target, try cooling-down sources last rather than failing.
        """
        number = 0
        for target in self.targets:
            for source in sorted(target.sources, key=lambda source: source.health.is_resting(now)):
                number += 1
                if number > ATTEMPTS:
                    return
                yield target, source

    def problem(self) -> Refusal:
        """Return why there is nothing to try: the requested target's refusal."""
        refusal = self.targets[0].refusal
        assert refusal is not None, "a target has sources or a refusal"
        return Refusal(refusal.code, refusal.message, status=refusal.status, param=refusal.param)

"""A route's parts: targets and the sources that pay for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote
from uuid import UUID

from gateway.dataplane.errors import Refusal
from gateway.dataplane.threads import in_thread
from models_catalog.resolution.catalog import Price
from providers.declaration.spec import Access, ModelFacts, Provider

SUCCESS_SECONDS: Final = 60.0  # a credential's last use is noted this often
ATTEMPTS: Final = 12  # of one call, over all targets and sources


@dataclass(slots=True)
class Source:
    """Who pays for a call: one of the tenant's credentials, or a trial.

    label: as in the call record. pool_key: what connections belong to. opened: access and secret
    texts, once they were needed.
    """

    label: str
    pool_key: str
    load: Callable[[], tuple[Access, tuple[str, ...]]]
    credential_id: UUID | None = None
    pool_id: int | None = None
    credits: int = 0
    rests_until: float = 0.0  # time.monotonic()
    noted: float = 0.0  # time.monotonic() of the last noted success
    header: bytes = b""
    opened: tuple[Access, tuple[str, ...]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.header = quote(self.label, safe=" :/-_.,()@+").encode()

    @property
    def is_trial(self) -> bool:
        return self.pool_id is not None

    @property
    def needs_success(self) -> bool:
        return self.credential_id is not None and time.monotonic() - self.noted > SUCCESS_SECONDS

    async def open(self) -> tuple[Access, tuple[str, ...]]:
        """Open the sealed values. Raises CredentialUnreadable, DatabaseAway."""
        self.opened = await in_thread(self.load)
        return self.opened


@dataclass(slots=True)
class Target:
    """One model at one provider, with the sources to try in order. refusal: why there are none."""

    provider: Provider
    model: str
    facts: ModelFacts
    price: Price | None
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
    """All targets of a name, the one asked for first."""

    scenario: str
    targets: tuple[Target, ...]
    expires: float

    def attempts(self, now: float) -> Iterator[tuple[Target, Source]]:
        """What to try, in order. Sources that rest come last of their target: better a late answer
        than none.
        """
        number = 0
        for target in self.targets:
            for source in sorted(target.sources, key=lambda source: source.rests_until > now):
                number += 1
                if number > ATTEMPTS:
                    return
                yield target, source

    def problem(self) -> Refusal:
        """Why there is nothing to try: the reason of the target that was asked for."""
        refusal = self.targets[0].refusal
        assert refusal is not None, "a target has sources or a refusal"
        return Refusal(refusal.code, refusal.message, status=refusal.status, param=refusal.param)

"""The active tenant, a context variable that the managers filter by."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar
from uuid import UUID


class NoActiveTenant(RuntimeError):
    """A tenant's table was used outside any scope."""


class _Everyone:
    def __repr__(self) -> str:
        return "all tenants"


T = TypeVar("T")

EVERYONE: Final = _Everyone()
_active: ContextVar[UUID | _Everyone | None] = ContextVar("modelkeep_tenant", default=None)


def active_tenant() -> UUID | _Everyone:
    """Return the active tenant's id, or EVERYONE inside all_tenants().

    Raises:
        NoActiveTenant: Outside any scope.
    """
    active = _active.get()
    if active is None:
        raise NoActiveTenant(
            "No tenant is active. Enter tenant_scope(tenant) first; TenantMiddleware does so for "
            "workspace URLs."
        )
    return active


@contextmanager
def tenant_scope(tenant: Any) -> Iterator[None]:
    """Make one tenant active. `tenant` is a Tenant or its id (UUID)."""
    token = _active.set(tenant if isinstance(tenant, UUID) else tenant.pk)
    try:
        yield
    finally:
        _active.reset(token)


@contextmanager
def all_tenants() -> Iterator[None]:
    """Make all tenants visible. Only for operators, commands and migrations (see tests)."""
    token = _active.set(EVERYONE)
    try:
        yield
    finally:
        _active.reset(token)


def bound(items: Iterable[T]) -> Iterator[T]:
    """Run an iterator in the current scope even if it is consumed later, as in streaming."""
    return _bound(iter(items), active_tenant())


def _bound(iterator: Iterator[T], active: UUID | _Everyone) -> Iterator[T]:
    try:
        while True:
            token = _active.set(active)
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                _active.reset(token)
            yield item
    finally:
        _close(iterator, active)


def _close(iterator: Any, active: UUID | _Everyone) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        token = _active.set(active)
        try:
            close()
        finally:
            _active.reset(token)


def abound(items: AsyncIterable[T]) -> AsyncIterator[T]:
    """Run an asynchronous iterator in the current scope even if it is consumed later."""
    return _abound(items.__aiter__(), active_tenant())


async def _abound(iterator: AsyncIterator[T], active: UUID | _Everyone) -> AsyncIterator[T]:
    try:
        while True:
            token = _active.set(active)
            try:
                item = await iterator.__anext__()
            except StopAsyncIteration:
                return
            finally:
                _active.reset(token)
            yield item
    finally:
        aclose = getattr(iterator, "aclose", None)
        if aclose is not None:
            await aclose()

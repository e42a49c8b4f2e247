"""The cache that machines share, in Redis or Valkey. Nothing depends on it: while it is away or
slow, pages are made as if it were empty.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
ANSWER_SECONDS: Final = 0.3  # a page waits no longer
REST_SECONDS: Final = 10.0  # after a failure


class SharedCache(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        seconds = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
        super().__init__(server, params | {"OPTIONS": seconds | params.get("OPTIONS", {})})
        self._rests_until = 0.0

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        if self._is_resting():
            return default
        try:
            return super().get(key, default, version)
        except RedisError as problem:
            self._rest(problem)
            return default

    def set(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        if self._is_resting():
            return
        try:
            super().set(key, value, timeout, version)
        except RedisError as problem:
            self._rest(problem)

    def _is_resting(self) -> bool:
        return time.monotonic() < self._rests_until

    def _rest(self, problem: RedisError) -> None:
        self._rests_until = time.monotonic() + REST_SECONDS
        logger.warning("The cache in CACHE_URL does not answer: %s", type(problem).__name__)

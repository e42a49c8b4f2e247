"""What an app key may do, and what its rate limits leave it: GET /v1/key."""

from __future__ import annotations

import math
import time
from typing import Any

from gateway.dataplane.rates.meter import MeterFull, Standing, meter
from tenants.auth.principal import Principal


def of(principal: Principal) -> dict[str, Any]:
    """Return the answer for whoever asks with the key itself."""
    try:
        standings = meter.usage(principal.rates, time.monotonic()) if principal.rates else []
    except MeterFull:  # none is in use
        standings = []
    return {
        "object": "key",
        "name": principal.app_key_name,
        "workspace": principal.tenant_slug,
        "expires": principal.expires.isoformat() if principal.expires else None,
        "allowed_providers": sorted(principal.allowed_providers),
        "allowed_models": sorted(principal.allowed_models),
        "allowed_operations": sorted(principal.allowed_operations),
        "limits": [_limit(standing) for standing in standings],
    }


def _limit(standing: Standing) -> dict[str, Any]:
    return {
        "scope": standing.rate.scope,
        "measure": standing.measure,
        "amount": standing.limit,
        "used": standing.used,
        "left": max(0, standing.limit - standing.used),
        "wait": math.ceil(standing.wait or 0),
    }

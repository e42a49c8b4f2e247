"""The operators' pages on trial plans, credits, holds and calls."""

from quotas.admin import calls, holds, plans, pools

__all__ = ["calls", "holds", "plans", "pools"]

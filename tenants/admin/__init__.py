"""Admin pages for workspaces and people. They show masked secrets only."""

from tenants.admin import app_keys, audit, key_pairs, users, workspaces

__all__ = ["app_keys", "audit", "key_pairs", "users", "workspaces"]

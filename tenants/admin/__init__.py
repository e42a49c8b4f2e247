"""The operators' pages on workspaces and people. They show masks of secrets, never the secrets."""

from tenants.admin import app_keys, audit, key_pairs, users, workspaces

__all__ = ["app_keys", "audit", "key_pairs", "users", "workspaces"]

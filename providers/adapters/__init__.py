"""Adapters: one file per provider that needs more than a row; each defines PROVIDER.

Adapters are data and small pure functions. Of Django they import only `gettext_lazy`, for labels
and help texts: it needs no settings, and translates when a page is rendered. providers.wire,
providers.transport.steps and providers.transport.egress import nothing of Django. The import
contract "pure" enforces this.
"""

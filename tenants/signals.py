"""Signals for other apps."""

from django.dispatch import Signal

# Sent in the transaction that creates a workspace, for example to grant trial credits.
# Arguments: tenant.
workspace_created = Signal()
# Sent by `manage.py demo_data` with the tenant active, for apps to add example rows.
# Arguments: tenant, actor.
demo_data_wanted = Signal()

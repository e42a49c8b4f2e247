"""What other apps may hook into."""

from django.dispatch import Signal

# Sent inside the transaction that makes a workspace. Arguments: tenant. quotas gives the trial
# credits there.
workspace_created = Signal()
# Sent by `manage.py demo_data`, with the tenant active. Arguments: tenant, actor. Other apps add
# their rows.
demo_data_wanted = Signal()

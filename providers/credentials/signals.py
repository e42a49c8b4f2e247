"""Signals of this app."""

from django.dispatch import Signal

# Sent after an added, replaced or activated credential is committed. sender: ProviderCredential;
# arguments: credential, actor.
credential_saved = Signal()

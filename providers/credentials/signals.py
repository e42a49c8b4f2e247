"""Signals of this app."""

from django.dispatch import Signal

# After the commit of an added, replaced or activated credential. sender: ProviderCredential;
# credential=, actor=.
credential_saved = Signal()

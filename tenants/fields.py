"""The one encrypted column type: django-encrypted-model-fields made strict."""

from encrypted_model_fields.fields import EncryptedTextField


class StrictEncryptedTextField(EncryptedTextField):
    pass

"""Sign until when app keys work, and delete the signatures of revoked ones: emptying either column
in the database brought a key back.
"""

import hmac

from django.db import migrations

from tenants.crypto import digest_key


def sign_expiry(apps, schema_editor):
    keys = _keys(apps, schema_editor)
    keys.exclude(revoked=None).update(proof=digest_key.NO_PROOF)
    _sign_again(apps, schema_editor, with_expiry=True)


def sign_without(apps, schema_editor):
    _sign_again(apps, schema_editor, with_expiry=False)


def _sign_again(apps, schema_editor, *, with_expiry):
    """Change the form of the signatures of keys that expire; those that were forged stay so."""
    rows = _keys(apps, schema_editor).filter(revoked=None).exclude(expires=None)
    copies = apps.get_model("tenants", "MasterKeyCheck").objects
    if not rows.exists() or not copies.exclude(digest_key="").exists():
        return
    secret = digest_key.read()
    for row in rows.iterator():
        proofs = _proof(row, None, secret), _proof(row, row.expires, secret)
        before, after = proofs if with_expiry else reversed(proofs)
        if hmac.compare_digest(row.proof, before):
            row.proof = after
            row.save(update_fields=["proof"])


def _proof(row, expires, secret):
    stored, row.expires = row.expires, expires
    try:
        return digest_key.proof_of_row(row, secret)
    finally:
        row.expires = stored


def _keys(apps, schema_editor):
    return apps.get_model("tenants", "AppKey")._base_manager.using(schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0014_note_made_by_link")]
    operations = [migrations.RunPython(sign_expiry, sign_without)]

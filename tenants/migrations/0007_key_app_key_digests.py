"""App keys were stored as plain SHA-256, which whoever writes to the database can forge: hash them
once more, with the digest key, and sign what they may do.
"""

import secrets

from django.conf import settings
from django.db import migrations
from django.db.migrations.exceptions import IrreversibleError

from tenants.crypto import digest_key, envelope, master_keys

BATCH = 1000


def convert(apps, schema_editor):
    alias = schema_editor.connection.alias
    keys = apps.get_model("tenants", "AppKey")._base_manager.using(alias)
    if not keys.exists():
        return  # the digest key is made with the first app key
    secret = secrets.token_bytes(digest_key.KEY_BYTES)
    _store(apps.get_model("tenants", "MasterKeyCheck").objects.using(alias), secret)
    rows = []
    for row in keys.iterator(chunk_size=BATCH):
        row.digest = digest_key.digest_of_hash(row.digest, secret)
        digest_key.sign(row, secret)
        rows.append(row)
        if len(rows) == BATCH:
            keys.bulk_update(rows, ["digest", "proof"])
            rows.clear()
    keys.bulk_update(rows, ["digest", "proof"])


def _store(checks, secret):
    """Seal a copy with each master key that this database knows, or with the newest."""
    configured = master_keys.parse(settings.MODELKEEP_MASTER_KEYS, settings.SECRET_KEY)
    if not checks.exists():
        newest = configured.newest
        value = master_keys.check_value(configured.by_id[newest])
        checks.create(mkid=newest, check_value=value)
    for check in checks.all():
        master = configured.get(check.mkid)
        if master is None or not master_keys.is_check_value(master, check.check_value):
            raise master_keys.MasterKeyError(
                "missing", f"Master key {check.mkid} is missing or wrong. Correct it, then migrate."
            )
        check.digest_key = envelope.seal_secret(
            secret, purpose=digest_key.PURPOSE, mkid=check.mkid, master=master
        )
        check.save(update_fields=["digest_key"])


def refuse(apps, schema_editor):
    keys = apps.get_model("tenants", "AppKey")._base_manager.using(schema_editor.connection.alias)
    if keys.exists():
        raise IrreversibleError(
            "Earlier releases cannot read these app keys. Restore the backup made before the "
            "upgrade, or delete all app keys first."
        )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0006_digest_key")]
    operations = [migrations.RunPython(convert, refuse)]

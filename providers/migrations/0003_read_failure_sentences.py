"""Failures were stored as sentences, "Incorrect API key. (401 invalid_api_key)": read each into its parts once, and back."""

import re

from django.db import migrations

# What a provider said, then its status and code.
SENTENCE = re.compile(r"(.*?) ?\(([0-9A-Za-z_.:-]+(?: [^()]+)?)\)", re.S)
STATUS = re.compile(r"[1-5][0-9]{2}(?: |\Z)")
LONGEST = 400
# Our own sentences that pages translated; every other text stays as it is.
OURS = {
    "The provider's host name could not be resolved.": "dns",
    "The provider's host name has no address.": "dns_empty",
    "The provider could not be reached.": "connect",
    "The provider could not be reached in time.": "connect_timeout",
    "The provider did not answer in time.": "timeout",
    "The time for this call was used up.": "no_time_left",
    "The connection to the provider broke.": "broken",
    "No trusted TLS connection to the provider could be made.": "tls",
    "The provider's answer could not be read.": "unreadable",
}
COLUMNS = (("ProviderCredential", "state_message", "state_detail"), ("ProviderChoice", "models_error", "models_failure"))


def detail_of(sentence):
    found = SENTENCE.fullmatch(sentence)
    text, codes = found.groups() if found else (sentence, "")
    status, _blank, code = codes.partition(" ") if STATUS.match(codes) else ("", "", codes)
    detail = {"reason": {"code": OURS[text]}} if text in OURS else {"text": text} if text else {}
    return detail | ({"status": int(status)} if status else {}) | ({"provider_code": code} if code else {})


def sentence_of(detail):
    names = {code: sentence for sentence, code in OURS.items()}
    reason = detail.get("reason", {}).get("code", "")
    text = detail.get("text", "") or names.get(reason, reason)
    codes = " ".join(dict.fromkeys(str(detail[name]) for name in ("status", "provider_code") if detail.get(name)))
    return (f"{text} ({codes})" if codes else text)[:LONGEST]


def rewrite(apps, alias, convert, *, back):
    for model, sentence, detail in COLUMNS:
        source, target = (detail, sentence) if back else (sentence, detail)
        rows = apps.get_model("providers", model).objects.using(alias)
        for row in rows.exclude(**{source: {} if back else ""}).only("pk", source).iterator():
            rows.filter(pk=row.pk).update(**{target: convert(getattr(row, source))})


def forwards(apps, schema_editor):
    rewrite(apps, schema_editor.connection.alias, detail_of, back=False)


def backwards(apps, schema_editor):
    rewrite(apps, schema_editor.connection.alias, sentence_of, back=True)


class Migration(migrations.Migration):
    dependencies = [("providers", "0002_failure_details")]
    operations = [migrations.RunPython(forwards, backwards)]

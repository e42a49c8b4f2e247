"""The compiled translations: what gettext reads is what stands in the .po file."""

from __future__ import annotations

import gettext
import os
from pathlib import Path

from core.i18n import compile as translations
from tests.source import ROOT

PO = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#: page.html
msgid "Save"
msgstr "Speichern"

msgctxt "provider state"
msgid "Trial"
msgstr "Probe"

msgid ""
"Two lines, \\"quoted\\",\\n"
"and a tab\\t."
msgstr ""
"Zwei Zeilen, „so“,\\n"
"und ein Tab\\t."

#, python-format
msgid "%(n)s key"
msgid_plural "%(n)s keys"
msgstr[0] "%(n)s Schlüssel"
msgstr[1] "%(n)s Schlüssel!"

#, python-format, fuzzy
msgid "Guessed"
msgstr "Geraten"

msgid "Not translated"
msgstr ""
msgid "Without a blank line before"
msgstr "Ohne Leerzeile davor"

#~ msgid "Gone"
#~ msgstr "Weg"
"""


def test_a_compiled_file_holds_what_is_translated(tmp_path: Path) -> None:
    (tmp_path / "django.po").write_text(PO, encoding="utf-8")
    (target,) = translations.compile_outdated(tmp_path)
    with target.open("rb") as compiled:
        german = gettext.GNUTranslations(compiled)
    assert german.charset() == "UTF-8"
    assert german.gettext("Save") == "Speichern"
    assert german.pgettext("provider state", "Trial") == "Probe"
    assert german.gettext("Trial") == "Trial"
    assert (
        german.gettext('Two lines, "quoted",\nand a tab\t.') == "Zwei Zeilen, „so“,\nund ein Tab\t."
    )
    assert german.gettext("Without a blank line before") == "Ohne Leerzeile davor"
    plural = [german.ngettext("%(n)s key", "%(n)s keys", number) for number in (1, 2)]
    assert plural == ["%(n)s Schlüssel", "%(n)s Schlüssel!"]
    assert [german.gettext(text) for text in ("Guessed", "Not translated", "Gone")] == [
        "Guessed",
        "Not translated",
        "Gone",
    ]


def test_only_outdated_files_are_compiled(tmp_path: Path) -> None:
    source = tmp_path / "de" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text(PO, encoding="utf-8")
    target = source.with_suffix(".mo")
    assert translations.compile_outdated(tmp_path) == [target]
    assert translations.compile_outdated(tmp_path) == []
    os.utime(target, (0, 0))
    assert translations.compile_outdated(tmp_path) == [target]
    assert sorted(source.parent.iterdir()) == [target, source]


def test_compiled_files_are_not_committed() -> None:
    assert "*.mo" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()

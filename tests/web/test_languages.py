"""The catalogues: complete, compiled, and with the same placeholders as the English texts."""

from __future__ import annotations

import ast
import gettext
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.formats import date_format

from incidents.commands import take_incident
from itsm.access.commands import update_person
from itsm.kernel.clock import now
from itsm.tickets.timeline import timeline
from tests.factories import Desk
from tests.web.conftest import Browser

FOLDER = Path(settings.LOCALE_PATHS[0])
CATALOGUES = sorted(path.parent.parent.name for path in FOLDER.glob("*/LC_MESSAGES/django.po"))
_PAIR = re.compile(r'^msgid ((?:".*"\n)+)msgstr ((?:".*"\n?)+)', re.MULTILINE)


def pairs(language: str) -> dict[str, str]:
    """msgid → msgstr of a .po file."""

    def joined(lines: str) -> str:
        return "".join(ast.literal_eval(line) for line in lines.strip().splitlines())

    source = (FOLDER / language / "LC_MESSAGES" / "django.po").read_text(encoding="utf-8")
    assert "fuzzy" not in source
    return {joined(key): joined(value) for key, value in _PAIR.findall(source) if joined(key)}


def test_there_is_german() -> None:
    assert "de" in CATALOGUES


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_text_is_translated_and_compiled(language: str) -> None:
    texts = pairs(language)
    assert len(texts) > 300
    assert [key for key, value in texts.items() if not value] == []
    with (FOLDER / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    # Compile again after a change: msgfmt -o django.mo django.po (or manage.py compilemessages).
    assert {key: compiled.gettext(key) for key in texts} == texts


@pytest.mark.parametrize("language", CATALOGUES)
def test_placeholders_survive(language: str) -> None:
    holder = re.compile(r"%\(\w+\)s|\{\w+\}|@\w+")
    wrong = {k: v for k, v in pairs(language).items() if sorted(holder.findall(k)) != sorted(holder.findall(v))}
    assert wrong == {}


def test_our_words_leave_djangos_dates_alone() -> None:
    with translation.override("de"):
        assert [date_format(now().replace(month=m, day=1), "F") for m in (3, 5, 10)] == ["März", "Mai", "Oktober"]


def test_pages_and_timeline_speak_the_readers_language(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    with acme.inside():
        take_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
        update_person(actor=acme.system, person_id=acme.people["requester"].pk, language="de")
        with translation.override("de"):
            assert timeline(acme.actor("requester"), ticket)[0].text == "hat die Störung gemeldet"
    page: Any = browser("requester").get(f"/t/acme/incidents/{ticket.number}/").content.decode()
    for word in (
        '<html lang="de" dir="ltr">',
        "In Arbeit",
        "hat die Störung gemeldet",
        "Störung abbrechen",
        "Abmelden",
    ):
        assert word in page
    assert "In Progress" not in page


def test_the_sign_in_page_follows_the_browser(acme: Desk, client: Any) -> None:
    page = client.get("/accounts/login/", headers={"accept-language": "de"})
    assert "Anmelden" in page.content.decode()
    assert "Sign in" in client.get("/accounts/login/", headers={"accept-language": "fr"}).content.decode()


_TRANSLATE = re.compile(r"""{%\s*translate\s+("[^"]+"|'[^']+')""")
_WORDS = frozenset({"_", "gettext", "gettext_lazy"})


def texts_of_the_code() -> set[str]:
    """What templates and Python ask the catalogue for, but for blocktranslate, whose texts are seldom and long."""
    root, found = Path(settings.BASE_DIR), set()
    for room in ("itsm", "incidents"):
        for template in (root / room).rglob("templates/**/*.html"):
            found |= {match[1:-1] for match in _TRANSLATE.findall(template.read_text(encoding="utf-8"))}
        for module in (root / room).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _WORDS:
                    found |= {str(one.value) for one in node.args if isinstance(one, ast.Constant)}
    return found


@pytest.mark.parametrize("language", CATALOGUES)
def test_no_text_of_the_code_is_forgotten(language: str) -> None:
    texts = texts_of_the_code()
    assert len(texts) > 300
    # Django has its own catalogue for words that it uses itself.
    with translation.override(language):
        assert sorted(text for text in texts - set(pairs(language)) if translation.gettext(text) == text) == []

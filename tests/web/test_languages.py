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

from incidents.commands import cancel_incident, take_incident
from itsm.access.commands import update_person
from itsm.access.models import RoleGrant
from itsm.kernel.clock import now
from itsm.tickets.commands import set_parent
from itsm.tickets.commands.configuration import update_settings
from itsm.tickets.models import Ticket
from itsm.tickets.timeline import timeline
from itsm.web import refusals
from tests.api.caller import Caller
from tests.factories import Desk
from tests.web.conftest import Browser
from tests.web.sending import post, text

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


@pytest.mark.parametrize(
    ("person", "header", "read"),
    [
        ("", "", "de"),
        ("", "fr-FR, *;q=0.1", "de"),
        ("", "fr, en-GB;q=0.5", "en"),
        ("", "en;q=0.5", "en"),
        ("", "ar", "ar"),
        ("en", "", "en"),
        ("en", "ar", "en"),
    ],
)
def test_a_page_asks_the_person_then_the_browser_then_the_desk(
    acme: Desk, browser: Browser, person: str, header: str, read: str
) -> None:
    with acme.inside():
        update_settings(actor=acme.system, language="de")
        update_person(actor=acme.system, person_id=acme.people["requester"].pk, language=person)
    headers = {"accept-language": header} if header else {}
    page = browser("requester").get("/t/acme/profile/", headers=headers).content.decode()
    assert f'<html lang="{read}"' in page


def test_a_desk_whose_language_is_not_offered_any_more_reads_as_the_installation(
    acme: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acme.inside():
        update_settings(actor=acme.system, language="de")
    monkeypatch.setattr(settings, "LANGUAGES", [("en", "English")])
    assert '<html lang="en"' in browser("requester").get("/t/acme/profile/").content.decode()


def test_programs_are_not_asked_into_the_desks_language(acme: Desk) -> None:
    with acme.inside():
        update_settings(actor=acme.system, language="de")
        number = acme.incident().number
    caller = Caller(acme, "agent")
    assert caller.get(f"incidents/{number}/").json()["state_label"] == "New"


_TRANSLATE = re.compile(r"""{%\s*translate\s+("[^"]+"|'[^']+')""")
_WORDS = frozenset({"_", "gettext", "gettext_lazy", "gettext_noop"})


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


#: Nobody meets these on a page: programs, the command line, and files that an operator hands over.
_NO_PAGE = frozenset({"api", "importing", "management", "migrations"})
#: Pages have words of their own for these: a heading, a sentence with names in it, or the tenant's own text.
_OWN_WORDS = frozenset({"refused", "not_found", "forbidden", "illegal_transition", "policy_violation", "invalid"})


def code_of(node: ast.AST) -> str:
    """The code that a statement refuses with: one input, in a call, or the whole, in the class of the error. Empty: none."""
    if isinstance(node, ast.Call) and len(node.args) == 3:
        of, (_, code, detail) = node.func, node.args
        name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
        said = isinstance(detail, ast.Call) and isinstance(detail.func, ast.Name) and detail.func.id in _WORDS
        refuses = name in {"one", "add", "FieldProblem"} and not said
        return str(code.value) if refuses and isinstance(code, ast.Constant) else ""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return str(node.value.value) if names == ["code"] else ""
    return ""


def codes_of_refusals() -> set[str]:
    """The codes with which commands refuse."""
    root = Path(settings.BASE_DIR)
    modules = (path for room in ("itsm", "incidents") for path in (root / room).rglob("*.py"))
    met = (path for path in modules if not _NO_PAGE & set(path.relative_to(root).parts))
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in met)
    return {code for tree in trees for node in ast.walk(tree) if (code := code_of(node))}


def test_every_refusal_has_words_for_people() -> None:
    """A new code wants a sentence in itsm/web/refusals.py, which test_no_text_of_the_code_is_forgotten wants translated."""
    raised = codes_of_refusals()
    assert len(raised) > 30
    assert sorted(raised - refusals.codes() - _OWN_WORDS) == []
    assert sorted(refusals.codes() - raised) == []


@pytest.fixture
def german(acme: Desk) -> Desk:
    with acme.inside():
        for name in ("agent", "requester", "admin"):
            update_person(actor=acme.system, person_id=acme.people[name].pk, language="de")
    return acme


def test_the_flow_refuses_in_the_readers_language_and_names_verbs_as_the_page_does(
    german: Desk, browser: Browser
) -> None:
    ticket = german.incident()
    with german.inside():
        take_incident(actor=german.actor("agent"), ticket_id=ticket.pk)
    answer = post(browser("agent"), german, ticket, "reopen", version=2, reason="Noch kaputt")
    assert answer.status_code == 409
    assert (
        "„Wieder öffnen“ ist im Zustand „In Arbeit“ nicht möglich. Möglich ist jetzt: Übernehmen, Zurückstellen, "
        "Lösen, Störung abbrechen, Zusammenführen."
    ) in text(answer)
    again = Caller(german, "agent").post(f"incidents/{ticket.pk}/reopen/", {"reason": "x"}, if_match='"2"')
    assert again.json()["detail"] == (
        "reopen is not possible in state In Progress. Possible now: take, hold, resolve, cancel, merge."
    )


def test_a_missing_right_is_named_in_the_readers_language(german: Desk, browser: Browser) -> None:
    ticket = german.incident()
    answer = post(browser("requester"), german, ticket, "take", version=1)
    assert answer.status_code == 403
    assert "Dazu brauchen Sie das Recht ticket.assign." in text(answer)


def test_what_has_ended_is_refused_in_the_readers_language(german: Desk, browser: Browser) -> None:
    ticket = german.incident()
    with german.inside():
        cancel_incident(actor=german.actor("agent"), ticket_id=ticket.pk, reason="Mistake")
    answer = post(browser("agent"), german, ticket, "comment", version=2, audience="public", body="Noch etwas")
    assert answer.status_code == 409
    assert "Dieses Ticket ist beendet und kann nicht mehr geändert werden." in text(answer)
    api = Caller(german, "agent").post(f"incidents/{ticket.pk}/comments/", {"body": "x"})
    assert api.json()["detail"] == "INC0001001 is Canceled and cannot be changed. Open a follow-up instead."


def test_one_input_is_refused_in_the_readers_language(german: Desk, browser: Browser) -> None:
    parent, child = german.incident(), german.incident()
    with german.inside():
        set_parent(actor=german.actor("agent"), ticket_id=child.pk, parent_id=parent.pk)
    answer = post(browser("agent"), german, parent, "parent", version=1, number=child.number)
    assert answer.status_code == 400
    assert "Damit stünde es über sich selbst." in text(answer)
    with german.inside():
        assert Ticket.objects.get(pk=parent.pk).parent_id is None
    assert "Möglich ist hier: priority, updated, opened, due, number." in text(
        browser("agent").get("/t/acme/queue/?sort=mood")
    )


def test_an_action_of_the_admin_is_refused_in_the_readers_language(german: Desk, browser: Browser) -> None:
    with german.inside():
        grant = RoleGrant.objects.get(person_id=german.people["admin"].pk, role="tenant_admin")
    data = {"action": "withdraw", "_selected_action": [str(grant.pk)]}
    answer = browser("admin").post("/t/acme/admin/access/rolegrant/", data, follow=True)
    assert "Das ist die letzte Person mit der Rolle tenant_admin." in text(answer)
    with german.inside():
        assert RoleGrant.objects.filter(pk=grant.pk).exists()

"""The organisation's own words: an allow-list of placeholders, languages, and a value that is never read as words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from itsm.access.commands import update_person
from itsm.events.models import Event
from itsm.kernel.errors import Forbidden, Invalid
from itsm.notify.commands.templates import remove_template, set_template
from itsm.notify.letters import html_of, one_line
from itsm.notify.models import Dispatch, MessageTemplate
from itsm.notify.placeholders import PLACEHOLDERS, fill
from itsm.notify.wording import DEFAULTS
from itsm.tickets.commands import comment_on_ticket
from tests.factories import Desk

Deliver = Callable[[], list[Any]]
pytestmark = pytest.mark.usefixtures("noon")


def say(desk: Desk, title: str = "The printer is on fire", body: str = "Hello") -> None:
    ticket = desk.incident(title=title)
    comment_on_ticket(actor=desk.actor("agent"), ticket_id=ticket.pk, body=body)


def test_own_words_replace_the_products_and_can_be_taken_back(acme: Desk, deliver: Deliver) -> None:
    row = set_template(
        actor=acme.actor("admin"),
        key="reply",
        language="en",
        subject="{{{ticket.number}}} at {desk.name}",
        text="{event.body}!",
    )
    say(acme)
    [mail] = deliver()
    assert mail.subject == "{INC0001001} at Acme"
    assert mail.body.startswith("Hello!\n\n-- \n")
    remove_template(actor=acme.actor("admin"), template_id=row.pk)
    say(acme)
    [mail] = deliver()
    assert mail.subject == "Re: INC0001002 The printer is on fire"
    with acme.inside():
        kinds = Event.objects.filter(kind__startswith="template.").order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == ["template.changed", "template.removed"]


def test_everybody_reads_his_own_language(acme: Desk, deliver: Deliver) -> None:
    set_template(actor=acme.actor("admin"), key="reply", language="en", subject="English", text="x")
    update_person(actor=acme.actor("requester"), person_id=acme.people["requester"].pk, language="de")
    say(acme)
    [mail] = deliver()
    assert mail.subject.startswith("Re: INC")
    assert "Status: " in mail.body
    assert 'lang="de"' in mail.alternatives[0][0]


@pytest.mark.parametrize(
    ("text", "code", "remedy"),
    [
        ("{ticket.nmber}", "unknown_placeholder", "Did you mean {ticket.number}?"),
        ("{ticket.__class__}", "unknown_placeholder", ""),
        ("{0}", "unknown_placeholder", ""),
        ("{}", "unknown_placeholder", ""),
        ("{ticket.number!r:>9}", "unknown_placeholder", ""),
        ("{% load x %}", "unknown_placeholder", ""),
        ("one { two", "single_brace", "{{"),
        ("one } two", "single_brace", "}}"),
    ],
)
def test_what_is_no_placeholder_is_refused_with_the_remedy(acme: Desk, text: str, code: str, remedy: str) -> None:
    for field in ("subject", "text"):
        words = {"subject": "s", "text": "t"} | {field: text}
        with pytest.raises(Invalid) as refused:
            set_template(actor=acme.actor("admin"), key="reply", language="en", **words)
        [problem] = refused.value.problems
        assert (problem.pointer, problem.code) == (f"/{field}", code)
        assert remedy in problem.detail
    with acme.inside():
        assert not MessageTemplate.objects.exists()


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"key": "nothing"}, "/key"),
        ({"language": "xx"}, "/language"),
        ({"subject": "two\nlines"}, "/subject"),
        ({"subject": ""}, "/subject"),
        ({"text": "x" * 10_001}, "/text"),
        ({"text": "\x00"}, "/text"),
    ],
)
def test_other_bad_words(acme: Desk, words: dict[str, str], field: str) -> None:
    given = {"key": "reply", "language": "en", "subject": "s", "text": "t"} | words
    with pytest.raises(Invalid) as refused:
        set_template(actor=acme.actor("admin"), **given)
    assert refused.value.problems[0].pointer == field


def test_only_an_admin_writes_words(acme: Desk) -> None:
    for name in ("requester", "agent", "manager", "owner", "auditor"):
        with pytest.raises(Forbidden):
            set_template(actor=acme.actor(name), key="reply", language="en", subject="s", text="t")


def test_a_value_is_never_read_as_words(acme: Desk, deliver: Deliver) -> None:
    say(acme, title="{ticket.url} {{x}}", body="{person.name} {% now %}")
    [mail] = deliver()
    assert mail.subject.endswith("{ticket.url} {{x}}")
    assert "{person.name} {% now %}" in mail.body


def test_no_value_starts_a_header(acme: Desk, deliver: Deliver) -> None:
    """Names come from imports too: line ends, and the separators that some clients take for them."""
    with acme.inside():
        acme.people["agent"].name = "Eve\r\nBcc: all@acme.example\u2028X: y\x0b"
        acme.people["agent"].save(update_fields=["name"])
        acme.tenant.name = 'Acme"\r\nBcc: <x@y>'
    ticket = acme.incident()
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="@requester hello")
    set_template(actor=acme.actor("admin"), key="reply", language="en", subject="{event.who}", text="x")
    set_template(actor=acme.actor("admin"), key="mention", language="en", subject="{event.who}", text="x")
    [mail] = deliver()
    message = mail.message()
    assert mail.subject == "Eve Bcc: all@acme.example X: y"
    assert message["Bcc"] is None
    assert message["X"] is None
    assert one_line("a\nb\x00c\x85d\u2029e") == "a b c d e"


def test_html_shows_words_and_links_ours_alone(acme: Desk) -> None:
    root = "http://127.0.0.1:8000"
    html = html_of(f"<b>&\nhttps://evil.example/\n{root}/t/acme/x/\n{root}.evil.example/", "en", acme.tenant)
    assert "&lt;b&gt;&amp;<br>" in html
    assert html.count("<a ") == 1
    assert f'<a href="{root}/t/acme/x/">' in html


def test_the_products_words_use_known_placeholders_alone() -> None:
    import re

    for key, languages in DEFAULTS.items():
        assert set(languages) >= {"en", "de"}, key
        for words in languages.values():
            assert set(re.findall(r"\{([^{}]*)\}", words.subject + words.text)) <= set(PLACEHOLDERS)
    assert fill("{{{ticket.number}}} {unknown}", {"ticket.number": "{x}"}) == "{{x}} "


def test_a_bad_address_is_said_in_the_ledger(acme: Desk, deliver: Deliver) -> None:
    with acme.inside():
        acme.people["requester"].email_key = "a@b.example, all@acme.example"
        acme.people["requester"].save(update_fields=["email_key"])
    say(acme)
    assert deliver() == []
    with acme.inside():
        assert Dispatch.objects.values_list("status", "reason").get() == ("dropped", "bad_address")

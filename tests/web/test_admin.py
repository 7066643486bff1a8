"""Configuration by Django's admin: who enters, what it saves by, and that it has neither superusers nor a log of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from itsm.access.commands import create_person, create_token, invite_user
from itsm.access.models import ApiToken, RoleGrant
from itsm.events.models import Event
from itsm.tenancy.models import Membership, Organisation, Person, Team, TenantSettings, User
from itsm.tickets.commands import assign_ticket
from itsm.tickets.commands.configuration import create_category, create_service
from itsm.tickets.models import Category, DeskSettings, PriorityRule, Service
from tests.factories import Desk
from tests.web.conftest import Browser

MODELS = (
    "tenancy/team",
    "tenancy/person",
    "tenancy/organisation",
    "tenancy/membership",
    "access/rolegrant",
    "access/apitoken",
    "tickets/service",
    "tickets/category",
    "tickets/priorityrule",
    "tickets/desksettings",
    "escalation/escalationpolicy",
    "oncall/oncallschedule",
    "oncall/oncalllayer",
    "sla/slacalendar",
    "sla/slapolicy",
    "events/event",
)
AUDITED = {"tenancy/membership", "access/rolegrant", "access/apitoken", "events/event"}
#: Who may look at which list.
READS = {
    "admin": set(MODELS),
    "auditor": set(MODELS),
    "owner": set(MODELS),
    "manager": set(MODELS) - AUDITED,
    "agent": set(MODELS) - AUDITED,
}


def text(response: Any) -> str:
    return str(response.content.decode())


def kinds(desk: Desk, *prefixes: str) -> list[str]:
    with desk.inside():
        found = Event.objects.order_by("pk").values_list("kind", flat=True)
        return [kind for kind in found if kind.startswith(prefixes)]


def add(client: Client, model: str, **data: Any) -> Any:
    return client.post(f"/t/acme/admin/{model}/add/", data)


def change(client: Client, model: str, pk: Any, **data: Any) -> Any:
    return client.post(f"/t/acme/admin/{model}/{pk}/change/", data)


@pytest.mark.parametrize("who", [*READS, "requester"])
def test_who_enters_and_what_each_sees(acme: Desk, browser: Browser, who: str) -> None:
    client = browser(who)
    assert client.get("/t/acme/admin/").status_code == (403 if who == "requester" else 200)
    seen = {model for model in MODELS if client.get(f"/t/acme/admin/{model}/").status_code == 200}
    assert seen == READS.get(who, set())


def test_nobody_outside_a_tenant_and_no_door_of_its_own(acme: Desk, globex: Desk, browser: Browser) -> None:
    admin = browser("admin")
    assert admin.get("/admin/").status_code == 404
    assert admin.get("/t/globex/admin/").status_code == 404
    assert Client().get("/t/acme/admin/")["Location"].startswith("/accounts/login/")
    for path in ("login/", "logout/", "password_change/", "r/1/1/", "nowhere/"):
        assert admin.get(f"/t/acme/admin/{path}").status_code == 404
    with globex.inside():
        theirs = Team.objects.first()
    assert theirs is not None
    assert admin.get(f"/t/acme/admin/tenancy/team/{theirs.pk}/change/").status_code == 302
    assert "globex" not in text(admin.get("/t/acme/admin/tenancy/person/"))
    assert change(admin, "tenancy/team", theirs.pk, name="Mine").status_code in {302, 404}
    with globex.inside():
        assert Team.objects.get(pk=theirs.pk).name == theirs.name


def test_teams_are_made_and_changed_by_commands(acme: Desk, browser: Browser) -> None:
    admin = browser("admin")
    assert add(admin, "tenancy/team", name=" Print ", description="", is_active="on").status_code == 302
    with acme.inside():
        team = Team.objects.get(name="Print")
    assert (
        change(admin, "tenancy/team", team.pk, name="Printing", is_restricted="on", is_active="on").status_code == 302
    )
    with acme.inside():
        team.refresh_from_db()
    assert (team.name, team.is_restricted) == ("Printing", True)
    assert kinds(acme, "team.")[-2:] == ["team.created", "team.changed"]
    taken = add(admin, "tenancy/team", name="Printing", is_active="on")
    assert taken.status_code == 400
    assert "This is taken already" in text(taken)
    assert 'value="Printing"' in text(taken)
    assert admin.get(f"/t/acme/admin/tenancy/team/{team.pk}/delete/").status_code == 403
    assert admin.get(f"/t/acme/admin/tenancy/team/{team.pk}/history/").status_code == 404
    with acme.inside():
        assert Team.objects.filter(name="Printing").count() == 1


@pytest.mark.parametrize("who", ["agent", "auditor", "manager"])
def test_readers_change_nothing(acme: Desk, browser: Browser, who: str) -> None:
    client, team = browser(who), acme.teams["apps"]
    page = client.get(f"/t/acme/admin/tenancy/team/{team.pk}/change/")
    assert page.status_code == 200
    assert 'name="_save"' not in text(page)
    assert client.get("/t/acme/admin/tenancy/team/add/").status_code == 403
    assert add(client, "tenancy/team", name="X", is_active="on").status_code == 403
    assert change(client, "tenancy/team", team.pk, name="X", is_active="on").status_code == 403
    with acme.inside():
        assert not Team.objects.filter(name="X").exists()
        assert Event.objects.filter(kind="access.refused").count() >= 2


def test_agents_do_not_see_restricted_teams_they_are_not_in(acme: Desk, browser: Browser) -> None:
    hr = acme.teams["hr"]
    assert f"/{hr.pk}/" not in text(browser("agent").get("/t/acme/admin/tenancy/team/"))
    assert f"/{hr.pk}/" in text(browser("hr").get("/t/acme/admin/tenancy/team/"))
    assert f"/{hr.pk}/" in text(browser("admin").get("/t/acme/admin/tenancy/team/"))


def test_desk_settings_matrix_services_and_categories(acme: Desk, browser: Browser) -> None:
    admin, manager = browser("admin"), browser("manager")
    with acme.inside():
        desk, rule = DeskSettings.objects.get(), PriorityRule.objects.get(impact=3, urgency=3)
    data = {
        "time_zone": "Europe/Berlin",
        "language": "de",
        "reopen_days": "5",
        "auto_close_days": "0",
        "major_review_days": "3",
    }
    data |= {"retention_days": "", "attachment_max_bytes": "1000"}
    assert change(admin, "tickets/desksettings", desk.pk, **data).status_code == 302
    assert change(admin, "tickets/desksettings", desk.pk, **{**data, "language": "xx"}).status_code == 200
    for client, place in ((browser("auditor"), f"{desk.pk}/change/"), (admin, f"{desk.pk}/change/"), (admin, "")):
        assert "Europe/Berlin" in text(client.get(f"/t/acme/admin/tickets/desksettings/{place}"))
    bad = change(admin, "tickets/desksettings", desk.pk, **{**data, "reopen_days": "400"})
    assert bad.status_code == 400
    # Whoever chose no language, in a browser that wants none either, reads the desk's from now on.
    assert "Geben Sie eine Zahl von 0 bis 365 an." in text(bad)
    assert change(admin, "tickets/priorityrule", rule.pk, priority="4").status_code == 302
    assert change(admin, "tickets/priorityrule", rule.pk, priority="9").status_code == 400
    assert change(manager, "tickets/priorityrule", rule.pk, priority="1").status_code == 403
    assert add(manager, "tickets/service", name="Mail", description="", is_active="on").status_code == 302
    assert add(manager, "tickets/category", name="Hardware", parent="", is_active="on").status_code == 302
    with acme.inside():
        category = Category.objects.get()
        desk.refresh_from_db()
        rule.refresh_from_db()
        service = Service.objects.get()
    assert add(manager, "tickets/category", name="Printer", parent=str(category.pk), is_active="on").status_code == 302
    assert change(manager, "tickets/service", service.pk, name="E-mail", description="All of it").status_code == 302
    with acme.inside():
        service.refresh_from_db()
        assert Category.objects.get(name="Printer").parent_id == category.pk
        everybody = TenantSettings.objects.get()
    assert (service.name, service.is_active) == ("E-mail", False)
    assert (everybody.time_zone, everybody.language) == ("Europe/Berlin", "de")
    assert (desk.reopen_days, desk.retention_days) == (5, None)
    assert rule.priority == 4
    assert kinds(acme, "settings.", "priority_rule.", "service.", "category.") == [
        "settings.changed",
        "priority_rule.changed",
        "service.created",
        "category.created",
        "category.created",
        "service.changed",
    ]


def test_organisations(acme: Desk, browser: Browser) -> None:
    admin = browser("admin")
    assert add(admin, "tenancy/organisation", name="Acme Ltd", parent="", is_active="on").status_code == 302
    with acme.inside():
        top = Organisation.objects.get()
    assert add(admin, "tenancy/organisation", name="Sales", parent=str(top.pk), is_active="on").status_code == 302
    with acme.inside():
        unit = Organisation.objects.get(name="Sales")
    loop = change(admin, "tenancy/organisation", top.pk, name="Acme Ltd", parent=str(unit.pk), is_active="on")
    assert loop.status_code == 400
    assert "ancestor" in text(loop)
    assert kinds(acme, "organisation.") == ["organisation.created", "organisation.created"]


def test_people_are_made_invited_and_disabled(acme: Desk, browser: Browser) -> None:
    admin = browser("admin")
    made = add(admin, "tenancy/person", name="Nora New", email_key="Nora@Acme.example", is_active="on")
    assert made.status_code == 302
    with acme.inside():
        nora = Person.objects.get(email_key="nora@acme.example")
    assert add(admin, "tenancy/person", name="Twin", email_key="nora@acme.example", is_active="on").status_code == 400
    assert add(admin, "tenancy/person", name="Bad", email_key="no address", is_active="on").status_code == 400
    action = {"action": "invite", "_selected_action": [str(nora.pk)]}
    invited = admin.post("/t/acme/admin/tenancy/person/", action)
    link = re.search(r"http://testserver(/accounts/invitation/[^<]+)", text(invited))
    assert link
    assert "no-store" in invited["Cache-Control"]
    client = Client()
    form = client.get(link[1], follow=True)
    assert "Choose a password" in text(form)
    password = "a long enough one"
    where = form.redirect_chain[-1][0]
    assert client.post(where, {"new_password1": password, "new_password2": password})["Location"] == "/"
    assert client.get("/")["Location"] == "/t/acme/"
    assert "no longer works" in text(Client().get(link[1], follow=True))
    # From now on the account is hers: inviting again gives no link.
    assert "accounts/invitation" not in text(admin.post("/t/acme/admin/tenancy/person/", action))
    assert change(admin, "tenancy/person", nora.pk, name="Nora Newer", language="de").status_code == 302
    with acme.inside():
        nora.refresh_from_db()
        assert (nora.name, nora.language, nora.is_active) == ("Nora Newer", "de", False)
        assert not Event.objects.filter(kind="person.disabled").exclude(payload__person=str(nora.pk)).exists()
    assert client.get("/t/acme/").status_code == 404
    myself = acme.people["admin"]
    assert change(admin, "tenancy/person", myself.pk, name=myself.name).status_code == 400


def test_memberships_are_ended_limited_and_resumed(acme: Desk, browser: Browser) -> None:
    admin, colleague = browser("admin"), browser("colleague")
    person, myself = acme.people["colleague"], acme.people["admin"]
    assert colleague.get("/t/acme/").status_code == 302
    selected = {"action": "end_membership", "_selected_action": [str(person.pk), str(myself.pk)]}
    page = text(admin.post("/t/acme/admin/tenancy/person/", selected, follow=True))
    assert "Can no longer sign in: colleague of acme" in page
    assert "cannot end your own" in page
    assert colleague.get("/t/acme/").status_code == 404
    with acme.inside():
        member, mine = (Membership.objects.get(person_id=one.pk) for one in (person, myself))
        assert (member.is_active, mine.is_active) == (False, True)
    empty, day = {"valid_until_0": "", "valid_until_1": ""}, {"valid_until_0": "2999-12-31", "valid_until_1": "12:00"}
    invite = {"action": "invite", "_selected_action": [str(person.pk)]}
    assert "accounts/invitation" not in text(admin.post("/t/acme/admin/tenancy/person/", invite))
    assert colleague.get("/t/acme/").status_code == 302
    assert change(admin, "tenancy/membership", member.pk, **day).status_code == 302
    with acme.inside():
        member.refresh_from_db()
        assert (member.is_active, member.valid_until.year) == (True, 2999)
    past = change(admin, "tenancy/membership", member.pk, **{**day, "valid_until_0": "2001-01-01"})
    assert past.status_code == 400
    assert "must be in the future" in text(past)
    assert change(admin, "tenancy/membership", mine.pk, **day).status_code == 400
    assert change(admin, "tenancy/membership", member.pk, **empty).status_code == 302
    assert change(browser("auditor"), "tenancy/membership", member.pk, **day).status_code == 403
    with acme.inside():
        member.refresh_from_db()
        assert member.is_lasting
    assert [kind for kind in kinds(acme, "membership.") if kind != "membership.created"] == [
        "membership.ended",
        "membership.resumed",
        "membership.ended",
        "membership.resumed",
    ]


def test_an_account_that_lives_elsewhere_is_not_admitted(acme: Desk, globex: Desk, browser: Browser) -> None:
    """Otherwise whoever made an account for a stranger's address would walk in as soon as that stranger is invited."""
    user = User.objects.create_user("shared@globex.example", None)
    person = create_person(actor=globex.system, name="Shared", email=user.email)
    invite_user(actor=globex.system, person_id=person.pk, user=user)
    mine = create_person(actor=acme.system, name="Shared", email=user.email)
    action = {"action": "invite", "_selected_action": [str(mine.pk)]}
    page = text(browser("admin").post("/t/acme/admin/tenancy/person/", action, follow=True))
    assert "has an account on this installation" in page
    assert "accounts/invitation" not in page
    with acme.inside():
        assert not Membership.objects.filter(person_id=mine.pk).exists()


def test_roles_are_given_limited_and_withdrawn(acme: Desk, browser: Browser) -> None:
    admin, person = browser("admin"), acme.people["colleague"]
    role = {"person": str(person.pk), "role": "agent", "process": "", "team": str(acme.teams["apps"].pk)}
    empty = {"valid_until_0": "", "valid_until_1": ""}
    assert add(admin, "access/rolegrant", **role, **empty).status_code == 302
    wrong = add(admin, "access/rolegrant", **{**role, "role": "process_owner"}, **empty)
    assert wrong.status_code == 400
    assert "name a process" in text(wrong)
    with acme.inside():
        grant = RoleGrant.objects.get(person_id=person.pk, role="agent")
        last = RoleGrant.objects.get(role="tenant_admin")
    dated = {"valid_until_0": "2999-01-01", "valid_until_1": "00:00"}
    assert change(admin, "access/rolegrant", grant.pk, **dated).status_code == 302
    with acme.inside():
        grant.refresh_from_db()
        assert grant.valid_until is not None
    action = {"action": "withdraw", "_selected_action": [str(grant.pk), str(last.pk)]}
    done = admin.post("/t/acme/admin/access/rolegrant/", action, follow=True)
    assert "This is the last tenant admin" in text(done)
    with acme.inside():
        assert not RoleGrant.objects.filter(pk=grant.pk).exists()
        assert RoleGrant.objects.filter(pk=last.pk).exists()
    assert kinds(acme, "grant.")[-3:] == ["grant.given", "grant.given", "grant.withdrawn"]
    browser("auditor").post("/t/acme/admin/access/rolegrant/", action)
    with acme.inside():
        assert RoleGrant.objects.filter(pk=last.pk).exists()


def test_tokens_are_seen_without_their_secret_and_revoked(acme: Desk, browser: Browser) -> None:
    token, secret = create_token(actor=acme.actor("agent"), name="Script", scopes=["incidents:read"])
    admin = browser("admin")
    page = text(admin.get(f"/t/acme/admin/access/apitoken/{token.pk}/change/"))
    assert secret not in page
    assert "secret" not in page
    action = {"action": "revoke", "_selected_action": [str(token.pk)]}
    browser("auditor").post("/t/acme/admin/access/apitoken/", action)
    with acme.inside():
        assert ApiToken.objects.get().revoked_at is None
    assert admin.post("/t/acme/admin/access/apitoken/", action).status_code == 302
    with acme.inside():
        assert ApiToken.objects.get().revoked_at is not None


def test_the_event_log_is_read_only_and_hides_restricted_tickets(acme: Desk, browser: Browser) -> None:
    ticket, hidden = acme.incident(), acme.incident()
    with acme.inside():
        assign_ticket(actor=acme.actor("hr"), ticket_id=hidden.pk, team_id=acme.teams["hr"].pk)
        event = Event.objects.get(ticket_id=ticket.pk)
        secret = Event.objects.filter(ticket_id=hidden.pk).first()
    assert secret is not None
    auditor = browser("auditor")
    page = text(auditor.get("/t/acme/admin/events/event/"))
    assert ticket.number in page
    assert hidden.number not in page
    assert "team.created" in page
    assert ticket.number in text(auditor.get("/t/acme/admin/events/event/?kind=incident.opened"))
    assert ticket.number in text(auditor.get(f"/t/acme/admin/events/event/?q={ticket.number}"))
    assert auditor.get(f"/t/acme/admin/events/event/{event.pk}/change/").status_code == 200
    assert auditor.get(f"/t/acme/admin/events/event/{secret.pk}/change/").status_code == 302
    assert change(auditor, "events/event", event.pk, kind="x").status_code == 403
    assert auditor.get("/t/acme/admin/events/event/add/").status_code == 403


def test_autocomplete_offers_this_tenants_people(acme: Desk, globex: Desk, browser: Browser) -> None:
    query = {"app_label": "access", "model_name": "rolegrant", "field_name": "person", "term": "agent"}
    found = browser("admin").get("/t/acme/admin/autocomplete/", query).json()
    assert [one["text"] for one in found["results"]] == ["agent of acme"]
    assert browser("requester").get("/t/acme/admin/autocomplete/", query).status_code == 403


@pytest.mark.parametrize("label", ["tickets", "events", "tenancy", "access"])
def test_each_room_of_the_admin_has_a_page(acme: Desk, browser: Browser, label: str) -> None:
    page = browser("admin").get(f"/t/acme/admin/{label}/")
    assert page.status_code == 200
    assert all(f"/t/acme/admin/{model}/" in text(page) for model in MODELS if model.startswith(f"{label}/"))
    assert browser("requester").get(f"/t/acme/admin/{label}/").status_code == 403


def test_csrf_is_enforced_in_the_admin(acme: Desk, browser: Browser) -> None:
    admin = browser("admin", csrf=True)
    assert add(admin, "tenancy/team", name="Forged", is_active="on").status_code == 403
    with acme.inside():
        assert not Team.objects.filter(name="Forged").exists()


def test_hostile_names_are_inert_in_the_admin(acme: Desk, browser: Browser) -> None:
    attack = '"><script>alert(1)</script>'
    create_service(actor=acme.system, name=attack)
    create_category(actor=acme.system, name=attack)
    admin = browser("admin")
    for model in ("service", "category"):
        assert "<script>alert" not in text(admin.get(f"/t/acme/admin/tickets/{model}/"))

"""Creating a tenant survives a crash at any point, and one user can belong to two tenants."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from config import provision
from config.provision import create_tenant
from itsm.access.actors import tenants_of_user
from itsm.access.commands import create_person, grant_role, invite_user, set_person_active
from itsm.events.models import Event, FeedHead
from itsm.sla.models import SlaCalendar
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Person, Tenant, TenantSettings, User
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import NumberSeries, PriorityRule, WorkKind
from tests.committed import CommittedDatabase
from tests.factories import make_desk

CRASHES = ("first provision", "last provision", "admin", "activation")


class Crash(BaseException):
    """Neither the command nor its callers may catch this: it stands for kill -9."""


@pytest.mark.parametrize("where", CRASHES)
def test_a_crash_in_between_leaves_nothing_to_enter_and_is_finished_by_a_second_try(
    committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        steps = list(provision.PROVISION)
        if where == "first provision":
            patch.setattr(provision, "PROVISION", (crash, *steps))
        elif where == "last provision":
            patch.setattr(provision, "PROVISION", (*steps, crash))
        elif where == "admin":
            patch.setattr(provision, "grant_role", crash)
        else:
            real, turns = provision.database_role, []

            def role(name: str) -> Any:
                turns.append(name)
                if len(turns) == 2:
                    raise Crash
                return real(name)

            patch.setattr(provision, "database_role", role)
        with pytest.raises(Crash):
            create_tenant("acme", name="Acme", admin_email="boss@acme.example")
    assert Tenant.objects.get(slug="acme").is_active is False

    created = create_tenant("acme", name="Acme", admin_email="boss@acme.example")
    assert created.tenant.is_active
    # The password of the first try was never shown; a second try must not leave an admin whom nobody can be.
    assert created.password is not None
    user = User.objects.get(email="boss@acme.example")
    assert user.check_password(created.password)
    desk = make_desk("globex")
    assert [slug for _, slug, _ in tenants_of_user(user.pk)] == ["acme"]
    for found in (created.tenant, desk.tenant):
        from itsm.tenancy.context import tenant

        with tenant(found.pk):
            assert (FeedHead.objects.count(), WorkKind.objects.count()) == (1, len(KINDS))
            assert (NumberSeries.objects.count(), PriorityRule.objects.count()) == (len(KINDS), 9)
            assert Event.objects.filter(kind="tenant.created").count() == 1
    with tenant(created.tenant.pk):
        assert Person.objects.filter(email_key="boss@acme.example").count() == 1
    with pytest.raises(ValidationError, match="already"):
        create_tenant("acme")


@pytest.mark.parametrize("slug", ["", "a", "A-b", "-abc", "abc-", "a" * 41, "a b", "a/b", "a\x00b", "ümlaut"])
@pytest.mark.django_db
def test_a_slug_that_cannot_be_part_of_an_address(slug: str) -> None:
    with pytest.raises(CommandError):
        call_command("create_tenant", slug)
    assert not Tenant.objects.exists()


def test_the_command_says_how_the_first_admin_signs_in(
    committed_db: CommittedDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("create_tenant", "acme", "--admin-email", "ada@both.example")
    assert "admin login: ada@both.example  password: " in capsys.readouterr().out
    call_command("create_tenant", "globex", "--admin-email", "ada@both.example")
    assert "admin login: ada@both.example  (there already; its password stays)" in capsys.readouterr().out


def test_a_desk_is_where_it_was_said_to_be(committed_db: CommittedDatabase) -> None:
    """Its first calendars have its zone, which cannot be changed later."""
    call_command("create_tenant", "acme", "--time-zone", "America/Toronto", "--language", "de")
    with tenant(Tenant.objects.get(slug="acme").pk):
        assert TenantSettings.objects.values_list("time_zone", "language").get() == ("America/Toronto", "de")
        assert set(SlaCalendar.objects.values_list("time_zone", flat=True)) == {"America/Toronto"}
    for option, value, said in (("--time-zone", "Toronto", "time_zone"), ("--language", "xx", "language")):
        with pytest.raises(CommandError, match=said):
            call_command("create_tenant", "globex", option, value)
    assert not Tenant.objects.filter(slug="globex").exists()


def test_one_user_in_two_tenants_is_two_people(committed_db: CommittedDatabase) -> None:
    """Each tenant has its own person, roles and disabling; going from one to the other is another address."""
    ours, theirs = make_desk("acme"), make_desk("globex")
    user = ours.users["agent"]
    guest = create_person(actor=theirs.system, name="Guest")
    invite_user(actor=theirs.system, person_id=guest.pk, user=user)
    grant_role(actor=theirs.system, person_id=guest.pk, role="requester")
    theirs.people["guest"], theirs.users["guest"] = guest, user
    assert [slug for _, slug, _ in tenants_of_user(user.pk)] == ["acme", "globex"]
    assert (ours.actor("agent").roles, theirs.actor("guest").roles) == ({"agent"}, {"requester"})
    assert ours.actor("agent").person_id != theirs.actor("guest").person_id

    client = Client()
    client.force_login(user)
    mine, foreign = ours.incident(), theirs.incident()
    own = theirs.incident(by="guest")
    assert client.get(f"/t/acme/api/v1/incidents/{mine.pk}/").status_code == 200
    assert client.get(f"/t/globex/api/v1/incidents/{own.pk}/").status_code == 200
    # The right ticket at the wrong address, and a ticket that the guest may not see.
    assert client.get(f"/t/globex/api/v1/incidents/{mine.pk}/").status_code == 404
    assert client.get(f"/t/globex/api/v1/incidents/{foreign.pk}/").status_code == 404

    set_person_active(actor=theirs.actor("admin"), person_id=guest.pk, active=False)
    assert [slug for _, slug, _ in tenants_of_user(user.pk)] == ["acme"]
    assert client.get(f"/t/globex/api/v1/incidents/{own.pk}/").status_code == 404
    assert client.get(f"/t/acme/api/v1/incidents/{mine.pk}/").status_code == 200

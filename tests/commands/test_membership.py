"""Who may sign in, until when, and again: a membership ends and is resumed, and the person stays a requester."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from itsm.access.actors import actor_of_token, member_of_user, tenants_of_user
from itsm.access.commands import create_person, end_membership, grant_role, invite_user
from itsm.access.invitations import invite_person
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden, Invalid, NotFound
from itsm.tenancy.models import Membership, Person
from tests.factories import Desk


def signs_in(desk: Desk, name: str) -> tuple[bool, bool]:
    """Whether the person's login opens the tenant, and whether the tenant is offered to it."""
    user = desk.users[name]
    opened = member_of_user(desk.tenant.pk, user.pk) is not None
    return opened, desk.tenant.pk in {tenant_id for tenant_id, _, _ in tenants_of_user(user.pk)}


def told(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    events = Event.objects.filter(kind__in=["membership.ended", "membership.resumed"]).order_by("pk")
    return [(event.kind, event.payload) for event in events]


def test_a_membership_ends_at_once_and_an_invitation_resumes_it(inside: Desk) -> None:
    person, user, secret = inside.people["requester"], inside.users["requester"], inside.token("requester")
    assert signs_in(inside, "requester") == (True, True)
    end_membership(actor=inside.actor("admin"), person_id=person.pk)
    end_membership(actor=inside.actor("admin"), person_id=person.pk)
    assert signs_in(inside, "requester") == (False, False)
    assert actor_of_token(inside.tenant.pk, secret) is None
    who = {"person": str(person.pk), "user": str(user.pk)}
    assert told(inside) == [("membership.ended", {**who, "valid_until": None})]
    # Still somebody for whom a ticket is logged.
    assert Person.objects.get(pk=person.pk).is_active
    assert inside.incident(by="agent", requester_id=person.pk).requester_id == person.pk
    assert invite_person(actor=inside.actor("admin"), person_id=person.pk).user == user
    assert signs_in(inside, "requester") == (True, True)
    assert actor_of_token(inside.tenant.pk, secret) is not None
    assert told(inside)[1:] == [("membership.resumed", who)]
    invite_person(actor=inside.actor("admin"), person_id=person.pk)
    assert len(told(inside)) == 2


def test_a_membership_may_have_an_end_to_come(inside: Desk) -> None:
    person, day = inside.people["agent"], clock.now() + timedelta(days=30)
    membership = end_membership(actor=inside.actor("admin"), person_id=person.pk, at=day)
    end_membership(actor=inside.actor("admin"), person_id=person.pk, at=day)
    assert (membership.is_active, Membership.objects.get(person_id=person.pk).valid_until) == (True, day)
    assert signs_in(inside, "agent")[0]
    with clock.at(day):
        assert not signs_in(inside, "agent")[0]
    assert [kind for kind, _ in told(inside)] == ["membership.ended"]
    invite_user(actor=inside.actor("admin"), person_id=person.pk, user=inside.users["agent"])
    with clock.at(day):
        assert signs_in(inside, "agent")[0]


def test_what_is_refused_changes_nothing(inside: Desk) -> None:
    admin, person = inside.actor("admin"), inside.people["agent"]
    caller = create_person(actor=inside.system, name="A caller")
    end_membership(actor=admin, person_id=inside.people["colleague"].pk)
    before, members = Event.objects.count(), list(Membership.objects.order_by("pk").values())
    later = clock.now() + timedelta(days=1)
    refused: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (Forbidden, "person.manage", {"actor": inside.actor("agent"), "person_id": inside.people["requester"].pk}),
        (Invalid, "your own", {"actor": admin, "person_id": admin.person_id}),
        (Invalid, "in the future", {"actor": admin, "person_id": person.pk, "at": clock.now() - timedelta(seconds=1)}),
        (Invalid, "cannot sign in", {"actor": admin, "person_id": caller.pk}),
        (Invalid, "cannot sign in", {"actor": admin, "person_id": inside.people["colleague"].pk, "at": later}),
        (NotFound, "There is no such", {"actor": admin, "person_id": inside.tenant.pk}),
    ]
    for kind, said, given in refused:
        with pytest.raises(kind, match=said):
            end_membership(**given)
    with pytest.raises(Invalid, match="membership already"):
        invite_user(actor=admin, person_id=caller.pk, user=inside.users["colleague"])
    assert (Event.objects.count(), list(Membership.objects.order_by("pk").values())) == (before, members)


def test_an_admin_who_cannot_sign_in_for_good_is_nobody_to_leave_it_to(inside: Desk) -> None:
    owner, admin = inside.people["owner"], inside.people["admin"]
    grant_role(actor=inside.system, person_id=owner.pk, role="tenant_admin")
    end_membership(actor=inside.actor("admin"), person_id=owner.pk, at=clock.now() + timedelta(days=1))
    before = Event.objects.count()
    for at in (None, clock.now() + timedelta(days=9)):
        with pytest.raises(Invalid, match="last tenant admin"):
            end_membership(actor=inside.actor("owner"), person_id=admin.pk, at=at)
    assert (Event.objects.count(), Membership.objects.get(person_id=admin.pk).is_lasting) == (before, True)
    invite_user(actor=inside.actor("admin"), person_id=owner.pk, user=inside.users["owner"])
    end_membership(actor=inside.actor("owner"), person_id=admin.pk)
    assert not Membership.objects.get(person_id=admin.pk).is_active

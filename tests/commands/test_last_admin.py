"""Somebody must always be able to give roles."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from itsm.access.commands import end_membership, grant_role, set_person_active, withdraw_role
from itsm.access.models import RoleGrant
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Forbidden, Invalid
from itsm.tickets.commands import erase_person
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk


def test_the_last_admins_role_gets_no_end(inside: Desk) -> None:
    admin, later = inside.people["admin"], clock.now() + timedelta(days=30)
    before = Event.objects.count()
    with pytest.raises(Invalid, match="last tenant admin"):
        grant_role(actor=inside.actor("admin"), person_id=admin.pk, role="tenant_admin", valid_until=later)
    assert (RoleGrant.objects.get(role="tenant_admin").valid_until, Event.objects.count()) == (None, before)
    grant_role(actor=inside.actor("admin"), person_id=inside.people["owner"].pk, role="tenant_admin")
    grant_role(actor=inside.actor("admin"), person_id=admin.pk, role="tenant_admin", valid_until=later)
    assert RoleGrant.objects.get(role="tenant_admin", person_id=admin.pk).valid_until == later


def two_admins(desk: Desk, **second: Any) -> tuple[Actor, Actor]:
    grant_role(actor=desk.actor("admin"), person_id=desk.people["owner"].pk, role="tenant_admin", **second)
    return desk.actor("admin"), desk.actor("owner")


def test_an_admin_for_a_day_is_nobody_to_leave_it_to(inside: Desk) -> None:
    """Neither by withdrawing, nor by disabling, nor by ending the membership, nor by erasing is the last lasting admin ended."""
    _, brief = two_admins(inside, valid_until=clock.now() + timedelta(days=1))
    person = inside.people["admin"]
    grant = RoleGrant.objects.get(role="tenant_admin", person_id=person.pk)
    before = Event.objects.count()
    for attempt in (
        lambda: withdraw_role(actor=brief, grant_id=grant.pk),
        lambda: set_person_active(actor=brief, person_id=person.pk, active=False),
        lambda: end_membership(actor=brief, person_id=person.pk),
        lambda: erase_person(actor=brief, person_id=person.pk),
        lambda: erase_person(actor=inside.system, person_id=person.pk),
    ):
        with pytest.raises(Invalid, match="last tenant admin"):
            attempt()
    person.refresh_from_db()
    assert (person.is_active, person.erased_at, Event.objects.count()) == (True, None, before)
    withdraw_role(
        actor=inside.actor("admin"), grant_id=RoleGrant.objects.get(role="tenant_admin", person_id=brief.person_id).pk
    )


def test_two_admins_who_disable_each_other_at_once(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    first, second = two_admins(desk)
    start, ended = threading.Barrier(2), []

    def disable(actor: Actor, other: Actor) -> None:
        start.wait(10)
        try:
            set_person_active(actor=actor, person_id=other.person_id or desk.tenant.pk, active=False)
            ended.append("done")
        except (Invalid, Forbidden):
            ended.append("refused")

    threads = [committed_db.thread(partial(disable, *pair)) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.join(20)
    assert sorted(ended) == ["done", "refused"]

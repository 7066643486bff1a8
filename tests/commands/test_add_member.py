"""An account that exists is joined to a second tenant by the operator only."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from itsm.access.actors import member_of_user, tenants_of_user
from itsm.access.commands import create_person
from itsm.access.invitations import invite_person
from itsm.events.models import Event
from itsm.kernel.errors import Invalid
from itsm.tenancy.models import Membership, User
from tests.factories import Desk


def test_an_admin_cannot_admit_an_account_that_somebody_else_made(acme: Desk, globex: Desk) -> None:
    # globex' admin has made (and may hold the password of) the account of an address that acme trusts.
    with acme.inside():
        trusted = create_person(actor=acme.system, name="New colleague", email="new@partner.example")
    with globex.inside():
        squatter = create_person(actor=globex.system, name="Squatter", email="new@partner.example")
        invite_person(actor=globex.actor("admin"), person_id=squatter.pk)
    with acme.inside():
        events, members = Event.objects.count(), Membership.objects.count()
        with pytest.raises(Invalid, match="operator"):
            invite_person(actor=acme.actor("admin"), person_id=trusted.pk)
        assert (Event.objects.count(), Membership.objects.count()) == (events, members)
    assert [slug for _, slug, _ in tenants_of_user(User.objects.get(email="new@partner.example").pk)] == ["globex"]


def test_the_operator_can(acme: Desk, globex: Desk) -> None:
    user = globex.users["agent"]
    call_command("add_member", "acme", user.email, "--name", "Guest", "--role", "agent", verbosity=0)
    with acme.inside():
        member = member_of_user(acme.tenant.pk, user.pk)
    assert member is not None
    actor, _ = member
    assert (actor.name, actor.roles) == ("Guest", {"agent"})
    with pytest.raises(CommandError, match="membership already"):
        call_command("add_member", "acme", user.email, verbosity=0)
    with pytest.raises(CommandError, match="no account"):
        call_command("add_member", "acme", "nobody@acme.example", verbosity=0)

"""Somebody must always be able to give roles."""

from __future__ import annotations

from datetime import timedelta

import pytest

from itsm.access.commands import grant_role
from itsm.access.models import RoleGrant
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import Invalid
from tests.factories import Desk


def test_the_last_admins_role_gets_no_end(inside: Desk) -> None:
    admin, later = inside.people["admin"], clock.now() + timedelta(days=30)
    before = Event.objects.count()
    with pytest.raises(Invalid, match="last tenant admin"):
        grant_role(actor=inside.actor("admin"), person_id=admin.pk, role="tenant_admin", valid_until=later)
    assert (RoleGrant.objects.get(role="tenant_admin").valid_until, Event.objects.count()) == (None, before)
    grant_role(actor=inside.actor("admin"), person_id=inside.people["owner"].pk, role="tenant_admin")
    grant_role(actor=inside.actor("admin"), person_id=admin.pk, role="tenant_admin", valid_until=later)
    assert RoleGrant.objects.get(role="tenant_admin", person_id=admin.pk).valid_until == later

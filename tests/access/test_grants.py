"""Giving roles: what the permission table cannot say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from itsm.access.commands import grant_role
from itsm.access.models import RoleGrant
from itsm.kernel import clock
from itsm.kernel.errors import Invalid
from tests.factories import Desk


@pytest.mark.parametrize("seconds", [0, -1, -86400])
def test_no_role_ends_in_the_past(inside: Desk, seconds: int) -> None:
    """It would take the last admin's role away, which withdrawing refuses."""
    admin = inside.actor("admin")
    with clock.at(clock.now()):
        then = clock.now() + timedelta(seconds=seconds)
        with pytest.raises(Invalid) as refused:
            grant_role(actor=admin, person_id=inside.people["admin"].pk, role="tenant_admin", valid_until=then)
    assert [problem.code for problem in refused.value.problems] == ["in_the_past"]
    assert RoleGrant.objects.get(role="tenant_admin").valid_until is None

"""The management commands that are for one service desk find it, or not, in the same way."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from itsm.tenancy.models import Tenant
from itsm.tenancy.roles import database_role
from tests.factories import Desk

#: Those that work in the desk, and those that an operator may need after it was closed.
WORKS = (
    ("add_member", "{slug}", "a@b.example"),
    ("report", "incidents", "--tenant", "{slug}"),
    ("import_incidents", "none.csv", "--tenant", "{slug}"),
)
AFTERWARDS = (
    ("erase_person", "nobody@acme.example", "--tenant", "{slug}", "--yes"),
    ("verify_events", "--tenant", "{slug}"),
)


@pytest.mark.parametrize("line", [*WORKS, *AFTERWARDS], ids=lambda line: line[0])
def test_a_desk_that_is_none(acme: Desk, line: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"There is no (active )?service desk 'nowhere'\.") as refused:
        call_command(*(word.format(slug="nowhere") for word in line))
    assert refused.value.returncode == 2


@pytest.mark.parametrize("line", [*WORKS, *AFTERWARDS], ids=lambda line: line[0])
def test_a_closed_desk(acme: Desk, line: tuple[str, ...]) -> None:
    with database_role("owner"):
        Tenant.objects.filter(pk=acme.tenant.pk).update(is_active=False)
    words = [word.format(slug="acme") for word in line]
    if line in WORKS:
        with pytest.raises(CommandError, match=r"There is no active service desk 'acme'\."):
            call_command(*words)
    elif line[0] == "erase_person":
        with pytest.raises(CommandError, match=r"There is nobody called nobody@acme\.example in acme"):
            call_command(*words)
    else:
        call_command(*words)

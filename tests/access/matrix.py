"""The role matrix: what the documentation page promises, against what the real commands do.

The expectation is read from the committed page, not from the table that the code decides by; so a cell that is changed in
the code alone makes a test fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from django.db import transaction

from incidents import commands
from itsm.access.actors import actor_of_token
from itsm.access.catalogue import GRANTABLE, PER_PROCESS, SCOPES, Reach, Role, permissions_of
from itsm.access.commands import create_person, create_team, create_token, grant_role, revoke_token
from itsm.access.decide import allows, authorize
from itsm.escalation.commands import acknowledge_escalation, create_policy, start_escalation
from itsm.escalation.models import EscalationPolicy
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Forbidden, Invalid, NotFound
from itsm.notify.commands.preferences import update_preferences
from itsm.notify.commands.templates import set_template
from itsm.oncall.commands import create_schedule
from itsm.sla.commands import create_calendar
from itsm.tickets.commands import (
    assign_ticket,
    attach_file,
    comment_on_ticket,
    erase_person,
    link_tickets,
    retire_texts,
    update_ticket,
    watch_ticket,
)
from itsm.tickets.fetch import read_ticket
from itsm.tickets.models import Ticket, Watcher
from tests.factories import Desk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "permissions.md"
_REACH = {"–": Reach.NONE, "own": Reach.OWN, "shared": Reach.SHARED, "all": Reach.ALL}
ROLES = ("requester", "agent", "process_manager", "process_owner", "tenant_admin", "auditor", "integration", "system")
SITUATIONS = ("own", "foreign", "watched", "restricted", "own_restricted")
NEW, HELD, RESOLVED = "new", "held", "resolved"
STATES = (NEW, HELD, RESOLVED)


def documented() -> dict[str, dict[str, Reach]]:
    """permission → role → reach, as the committed page says."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(ROLES) + 1 and cells[0].startswith("`"):
            found[cells[0].strip("`")] = {role: _REACH[cell] for role, cell in zip(ROLES, cells[1:], strict=True)}
    return found


#: Permissions that another one goes before: whoever lacks that is refused for it.
_FIRST = {"incident.create_for_others": "incident.create"}


class Undone(Exception):
    """Takes back what a permitted command did, so that the next one finds the same tickets."""


@dataclass
class Stage:
    """One actor of one role, and a ticket for every situation and state."""

    desk: Desk
    actor: Actor
    tickets: dict[tuple[str, str], Ticket]
    other: Ticket
    token_id: Any
    #: Requester and auditor in one: sees every ticket, so that "shared" and "all" can be told apart.
    reader: Actor


#: What needs a ticket: the state that the ticket must be in, and the command.
ON_TICKETS: dict[str, tuple[str, Callable[[Stage, Ticket], Any]]] = {
    "ticket.read": (NEW, lambda s, t: read_ticket(s.actor, t.pk)),
    "ticket.read_internal": (NEW, lambda s, t: _ask(s, t, "ticket.read_internal")),
    "ticket.export": (NEW, lambda s, t: _ask(s, t, "ticket.export")),
    "ticket.comment": (NEW, lambda s, t: comment_on_ticket(actor=s.actor, ticket_id=t.pk, body="x")),
    "ticket.comment_internal": (
        NEW, lambda s, t: comment_on_ticket(actor=s.actor, ticket_id=t.pk, body="x", audience="internal"),
    ),
    "ticket.attach": (
        NEW, lambda s, t: attach_file(actor=s.actor, ticket_id=t.pk, name="a.txt", content=BytesIO(b"x"), size=1),
    ),
    "ticket.watch": (NEW, lambda s, t: watch_ticket(actor=s.actor, ticket_id=t.pk, person_id=s.actor.person_id)),
    "ticket.manage_watchers": (
        NEW, lambda s, t: watch_ticket(actor=s.actor, ticket_id=t.pk, person_id=s.desk.people["hr"].pk),
    ),
    "ticket.link": (NEW, lambda s, t: link_tickets(actor=s.actor, ticket_id=t.pk, target_id=s.other.pk)),
    "ticket.assign": (NEW, lambda s, t: assign_ticket(actor=s.actor, ticket_id=t.pk, assignee_id=s.desk.people["hr"].pk)),
    "ticket.update": (NEW, lambda s, t: update_ticket(actor=s.actor, ticket_id=t.pk, title="Other")),
    "escalation.start": (NEW, lambda s, t: start_escalation(actor=s.actor, ticket_id=t.pk, policy_id=_any_policy())),
    "escalation.acknowledge": (NEW, lambda s, t: acknowledge_escalation(actor=s.actor, ticket_id=t.pk)),
    "incident.start": (NEW, lambda s, t: commands.start_incident(actor=s.actor, ticket_id=t.pk)),
    "incident.hold": (NEW, lambda s, t: commands.hold_incident(actor=s.actor, ticket_id=t.pk, hold_reason="awaiting_vendor")),
    "incident.resume": (HELD, lambda s, t: commands.resume_incident(actor=s.actor, ticket_id=t.pk)),
    "incident.resolve": (
        NEW,
        lambda s, t: commands.resolve_incident(
            actor=s.actor, ticket_id=t.pk, close_code="solution_provided", close_notes="x"
        ),
    ),
    "incident.reopen": (RESOLVED, lambda s, t: commands.reopen_incident(actor=s.actor, ticket_id=t.pk, reason="x")),
    "incident.close": (RESOLVED, lambda s, t: commands.close_incident(actor=s.actor, ticket_id=t.pk)),
    "incident.cancel": (NEW, lambda s, t: commands.cancel_incident(actor=s.actor, ticket_id=t.pk, reason="x")),
    "incident.merge": (NEW, lambda s, t: commands.merge_incident(actor=s.actor, ticket_id=t.pk, into_id=s.other.pk)),
    "incident.declare_major": (NEW, lambda s, t: commands.declare_major(actor=s.actor, ticket_id=t.pk, reason="x")),
    "incident.update_major": (NEW, lambda s, t: _led(s, t) and commands.send_major_update(actor=s.actor, ticket_id=t.pk, body="x")),
    "incident.review_major": (
        NEW,
        lambda s, t: _led(s, t, over=True) and commands.review_major(
            actor=s.actor, ticket_id=t.pk, went_well="x", went_badly="x", causes="x"
        ),
    ),
}  # fmt: skip
#: What needs none.
ALONE: dict[str, Callable[[Stage], Any]] = {
    "incident.create": lambda s: commands.open_incident(actor=s.actor, title="x"),
    "incident.create_for_others": lambda s: commands.open_incident(
        actor=s.actor, title="x", requester_id=s.desk.people["colleague"].pk
    ),
    "notification.update": lambda s: update_preferences(actor=s.actor, digest="daily"),
    "notification.manage": lambda s: set_template(
        actor=s.actor, key="reply", language="en", subject="{ticket.number}", text="x"
    ),
    "team.manage": lambda s: create_team(actor=s.actor, name="New team"),
    "person.manage": lambda s: create_person(actor=s.actor, name="New person"),
    "person.erase": lambda s: erase_person(actor=s.actor, person_id=s.desk.people["colleague"].pk),
    "grant.manage": lambda s: grant_role(actor=s.actor, person_id=s.desk.people["colleague"].pk, role="auditor"),
    "token.manage": lambda s: revoke_token(actor=s.actor, token_id=s.token_id),
    "escalation.manage": lambda s: create_policy(
        actor=s.actor, name="New", terms={"steps": [{"do": [{"action": "notify_team"}]}]}
    ),
    "oncall.manage": lambda s: create_schedule(actor=s.actor, name="New schedule"),
    "sla.manage": lambda s: create_calendar(actor=s.actor, name="New hours", hours={"timezone": "UTC", "always": True}),
    "text.retire": lambda s: retire_texts(actor=s.actor),
}


def _led(stage: Stage, ticket: Ticket, *, over: bool = False) -> bool:
    """Make it a major incident whose commander is somebody else; ``over``: its review is due."""
    desk = stage.desk
    commands.declare_major(actor=desk.system, ticket_id=ticket.pk, reason="x", commander_id=desk.people["hr"].pk)
    if over:
        commands.resolve_incident(
            actor=desk.system, ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    return True


def _any_policy() -> Any:
    return EscalationPolicy.objects.values_list("pk", flat=True)[0]


def _ask(stage: Stage, ticket: Ticket, permission: str) -> None:
    seen = read_ticket(stage.actor, ticket.pk)
    if not allows(stage.actor, permission, seen):
        raise Forbidden(permission)


def make_stage(desk: Desk, role: str) -> Stage:
    """``desk`` with a person of exactly this role, and tickets in all situations; call it inside the tenant."""
    person = desk.person("one", *_grants(role)) if role != "system" else None
    actor = desk.system if role == "system" else desk.actor("one")
    token = create_token(actor=desk.actor("agent"), name="somebody's", scopes=["incidents:read"])[0]
    if role == "integration":
        secret = create_token(actor=actor, name="all", scopes=list(SCOPES))[1]
        found = actor_of_token(desk.tenant.pk, secret)
        assert found is not None
        actor = found
    mine = person.pk if person else desk.people["requester"].pk
    tickets = {}
    for situation in SITUATIONS:
        for state in STATES:
            tickets[situation, state] = _ticket(desk, mine, situation, state)
    other = commands.open_incident(actor=desk.system, title="The other one", requester_id=mine)
    desk.person("reader", (Role.REQUESTER, None, None), (Role.AUDITOR, None, None))
    return Stage(desk, actor, tickets, other, token.pk, desk.actor("reader"))


def _grants(role: str) -> list[tuple[str, str | None, Any]]:
    wanted = GRANTABLE if role == "integration" else (Role(role),)
    return [(name, "incident" if name in PER_PROCESS else None, None) for name in wanted]


def _ticket(desk: Desk, mine: Any, situation: str, state: str) -> Ticket:
    requester = mine if situation.startswith("own") else desk.people["colleague"].pk
    team = desk.teams["hr"].pk if situation.endswith("restricted") else None
    ticket = commands.open_incident(actor=desk.system, title=situation, requester_id=requester, team_id=team)
    if situation == "watched":
        Watcher(tenant_id=desk.tenant.pk, ticket_id=ticket.pk, person_id=mine).save(force_insert=True)
    if state == HELD:
        commands.hold_incident(actor=desk.system, ticket_id=ticket.pk, hold_reason="awaiting_vendor")
    if state == RESOLVED:
        commands.resolve_incident(
            actor=desk.system, ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    return ticket


def outcome(act: Callable[[], Any], permission: str) -> str:
    """What a command answers: allowed, forbidden (for this very permission) or invisible. It leaves nothing behind."""
    try:
        with transaction.atomic():
            act()
            raise Undone
    except Undone:
        return "allowed"
    except NotFound:
        return "invisible"
    except Invalid as error:
        # The right was there; watching a restricted ticket is refused for another reason, and the product has no eyes.
        codes = {problem.code for problem in error.problems}
        return "allowed" if codes <= {"not_a_member", "required"} else f"invalid: {error.detail}"
    except Forbidden as error:
        return (
            "forbidden"
            if error.permission in {permission, _FIRST.get(permission)}
            else f"forbidden for {error.permission}"
        )


def expected_on_ticket(page: dict[str, dict[str, Reach]], role: str, permission: str, situation: str) -> str:
    read, may = _documented_reach(page, role, "ticket.read"), _documented_reach(page, role, permission)
    if role != "system":
        own = situation.startswith("own")
        visible = {
            "own": read > Reach.NONE,
            "foreign": read is Reach.ALL,
            "watched": read >= Reach.SHARED,
            "restricted": False,
            "own_restricted": read > Reach.NONE,
        }[situation]
        if not visible:
            return "invisible"
        if situation == "own_restricted":
            may = min(may, page[permission]["requester"])
        if may in (Reach.OWN, Reach.SHARED):
            return "allowed" if own or (may is Reach.SHARED and situation == "watched") else "forbidden"
    return "allowed" if may is Reach.ALL else "forbidden"


def _documented_reach(page: dict[str, dict[str, Reach]], role: str, permission: str) -> Reach:
    if role == "integration" and permission not in permissions_of(frozenset(SCOPES)):
        return Reach.NONE
    return page[permission][role]


def mismatches(stage: Stage, role: str, permission: str, page: dict[str, dict[str, Reach]]) -> list[str]:
    """Where the commands do something else than the page says about this cell."""
    if permission not in ON_TICKETS:
        act = ALONE.get(permission, lambda s: authorize(s.actor, permission))
        wanted = "allowed" if _documented_reach(page, role, permission) else "forbidden"
        got = outcome(lambda: act(stage), permission)
        return [] if got == wanted else [f"{role} {permission}: {got}, documented {wanted}"]
    state, command = ON_TICKETS[permission]
    wrong = []
    for situation in SITUATIONS:
        ticket = stage.tickets[situation, state]
        got = outcome(lambda ticket=ticket: command(stage, ticket), permission)  # type: ignore[misc]
        wanted = expected_on_ticket(page, role, permission, situation)
        if got != wanted:
            wrong.append(f"{role} {permission} on {situation}: {got}, documented {wanted}")
    if role == "requester":
        reader, ticket = replace(stage, actor=stage.reader), stage.tickets["foreign", state]
        wanted = "allowed" if page[permission]["auditor"] is Reach.ALL else "forbidden"
        if (got := outcome(lambda: command(reader, ticket), permission)) != wanted:
            wrong.append(f"requester and auditor {permission} on foreign: {got}, documented {wanted}")
    return wrong

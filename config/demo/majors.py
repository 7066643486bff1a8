"""The demo's major incidents: one that is led now, and one of last month that people have looked back at.

The present one began late on the day before, so its next update is always overdue: whoever looks can send it.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from incidents import commands as incident
from incidents.commands.major_review import Action
from itsm.kernel import clock
from itsm.tickets.models import Ticket

if TYPE_CHECKING:
    from config.demo.seed import Desk


def tell_past(desk: Desk) -> None:
    """Four weeks and a day ago: declared, two updates, resolved; three days later reviewed, with two actions."""
    site, begin = desk.company.sites[0], desk.today - timedelta(days=29) + timedelta(hours=9)
    worker = _worker(desk, "Network")
    with clock.at(begin):
        ticket = _open(
            desk,
            "requester",
            title=f"Nobody in {site} gets through by telephone",
            description="Calls end after the first ring, inside and outside. Mobile phones work.",
            service="Network access",
            category="LAN",
            team="Network",
        )
    with clock.at(begin + timedelta(minutes=6)):
        incident.take_incident(actor=desk.actor(worker), ticket_id=ticket.pk)
        incident.declare_major(
            actor=desk.actor("manager"),
            ticket_id=ticket.pk,
            reason=f"All of {site} cannot be called by customers.",
            commander_id=desk.people["agent"].pk,
            stakeholder_ids=[desk.people["owner"].pk],
        )
    for after, words in (
        (20, "The telephone switch has lost its trunk. The provider is on the line; mobile numbers work."),
        (45, "The provider has moved us to the second trunk. Calls come through again; we watch it for half an hour."),
    ):
        with clock.at(begin + timedelta(minutes=after)):
            incident.send_major_update(actor=desk.actor("agent"), ticket_id=ticket.pk, body=words)
    with clock.at(begin + timedelta(minutes=70)):
        incident.resolve_incident(
            actor=desk.actor(worker),
            ticket_id=ticket.pk,
            close_code="solution_provided",
            close_notes="Provider moved the numbers to the second trunk; the first one had a broken card.",
        )
    reviewed = begin + timedelta(days=3)
    with clock.at(reviewed):
        incident.review_major(
            actor=desk.actor("agent"),
            ticket_id=ticket.pk,
            went_well="Everybody knew within a quarter of an hour. The provider was reached at once.",
            went_badly="The second trunk had never been tried; nobody knew how to move the numbers.",
            causes="A broken card at the provider, and no failover that works by itself.",
            actions=[
                Action("Let the numbers fail over by themselves", desk.people[worker].pk, _day(reviewed, 30)),
                Action("Try the second trunk each quarter", desk.people["manager"].pk, _day(reviewed, 60)),
            ],
        )


def tell_present(desk: Desk) -> None:
    """Since last night: a commander, two roles, two children, two updates; the third is overdue."""
    sites, begin = desk.company.sites, desk.today - timedelta(hours=3)
    worker = _worker(desk, "Applications")
    with clock.at(begin):
        ticket = _open(
            desk,
            "requester",
            title="The ERP is down at all sites",
            description="The ERP answers *service unavailable* everywhere. No orders, no delivery notes.",
        )
    children = []
    for number, words in enumerate(("Orders cannot be released", "Delivery notes do not print"), start=1):
        requester = desk.company.requesters[number]
        with clock.at(begin + timedelta(minutes=4 * number)):
            site = sites[number % len(sites)]
            children.append(
                _open(desk, requester, title=f"{words} in {site}", description="The ERP does not answer.", impact=2).pk
            )
    with clock.at(begin + timedelta(minutes=12)):
        incident.take_incident(actor=desk.actor(worker), ticket_id=ticket.pk)
        incident.declare_major(
            actor=desk.actor("manager"),
            ticket_id=ticket.pk,
            reason="Every site stands still, and the first lorries leave in the morning.",
            commander_id=desk.people["agent"].pk,
            roles={"Technical lead": desk.people[worker].pk, "Communications lead": desk.people["manager"].pk},
            stakeholder_ids=[desk.people["owner"].pk],
        )
    with clock.at(begin + timedelta(minutes=15)):
        incident.attach_children(actor=desk.actor("agent"), ticket_id=ticket.pk, child_ids=children)
    for after, words in (
        (25, "The database behind the ERP has run out of disk space. We are making room."),
        (50, "There is room again; the database is **recovering its log**, which takes about an hour."),
    ):
        with clock.at(begin + timedelta(minutes=after)):
            incident.send_major_update(actor=desk.actor("agent"), ticket_id=ticket.pk, body=words)


def _open(
    desk: Desk,
    requester: str,
    *,
    title: str,
    description: str,
    service: str = "ERP",
    category: str = "ERP",
    team: str = "Applications",
    impact: int = 1,
) -> Ticket:
    return incident.open_incident(
        actor=desk.actor("agent"),
        requester_id=desk.people[requester].pk,
        title=title,
        description=description,
        impact=impact,
        urgency=1,
        service_id=desk.services[service],
        category_id=desk.categories[category],
        team_id=desk.teams[team],
        channel="phone",
    )


def _worker(desk: Desk, team: str) -> str:
    return next(name for name, of in desk.company.agents if of == team)


def _day(at: datetime, days: int) -> date:
    return (at + timedelta(days=days)).date()

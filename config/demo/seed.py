"""Tells the stories: two tenants filled by the product's own commands over a virtual clock.

Everything but ids and secrets is the same for the same day: no chance is involved, variation comes from counting.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.contrib.auth.hashers import make_password

from config.demo.majors import tell_past, tell_present
from config.demo.stories import CATEGORIES, SERVICES, STORIES, TEAMS, Company, Step, Story
from config.provision import activate_tenant, create_tenant, set_aside
from incidents import commands as incident
from itsm.access.actors import actor_of_person
from itsm.access.catalogue import SCOPES, Role
from itsm.access.commands import create_person, create_team, create_token, grant_role, invite_user, update_person
from itsm.access.organisations import create_organisation
from itsm.escalation.commands import update_policy
from itsm.escalation.models import EscalationPolicy
from itsm.escalation.provision import NAME as CRITICAL
from itsm.escalation.provision import terms
from itsm.events.relay import relay
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.oncall.commands import create_schedule
from itsm.oncall.layers import LayerRules
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Person, Tenant, User
from itsm.tickets.commands import assign_ticket, comment_on_ticket
from itsm.tickets.commands.configuration import create_category, create_service
from itsm.tickets.models import Ticket

#: How often the list of stories is told; the last telling is still under way.
ROUNDS = 4
#: Somebody who works for both companies and switches between them.
SHARED_LOGIN = "sam@viable.example"

#: Login name and grants of the roles that scripts and browser tests sign in with.
ROLES: dict[str, tuple[tuple[Role, str | None, str | None], ...]] = {
    "requester": ((Role.REQUESTER, None, None),),
    "agent": ((Role.AGENT, None, None), (Role.AGENT, None, "Service Desk")),
    "owner": ((Role.PROCESS_OWNER, "incident", None), (Role.AGENT, None, None)),
    "manager": ((Role.PROCESS_MANAGER, "incident", None), (Role.AGENT, None, None)),
    "admin": ((Role.TENANT_ADMIN, None, None),),
    "auditor": ((Role.AUDITOR, None, None),),
}
NAMES = {
    "requester": "Robin Requester",
    "agent": "Alex Agent",
    "owner": "Olga Owner",
    "manager": "Max Manager",
    "admin": "Ada Admin",
    "auditor": "Audrey Auditor",
}


@dataclass
class Seeded:
    """What the demo's users need to know: logins by role and the tokens made for them."""

    tenant: Tenant
    logins: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)


class Desk:
    """One company while it is being filled."""

    def __init__(self, company: Company, password: str, today: datetime, *, rounds: int = ROUNDS) -> None:
        self.company = company
        # Hashed once: hashing is slow on purpose, and all of the demo's users share it.
        self.password_hash = make_password(password)
        self.today = today
        self.rounds = rounds
        self.people: dict[str, Person] = {}
        self.teams: dict[str, UUID] = {}
        self.services: dict[str, UUID] = {}
        self.categories: dict[str, UUID] = {}

    def build(self, say: Callable[[str], None]) -> Seeded:
        """Create the tenant and tell every story; answers logins and tokens."""
        set_aside(self.company.slug)  # what an earlier try, killed half-way, has left
        company = self.company
        tenant = create_tenant(
            company.slug, name=company.name, time_zone=company.time_zone, language=company.language, activate=False
        ).tenant
        seeded = Seeded(tenant)
        self.system = Actor.system(seeded.tenant.pk, "demo")
        begin = self.today - timedelta(days=30)
        with clock.at(begin):
            self._configure()
            self._hire(seeded)
            self._put_on_call(begin.date())
        tell_past(self)
        moments = self._moments()
        told = 0
        for number in range(self.rounds):
            for story in STORIES:
                self._tell(story, next(moments), told, last_round=number == self.rounds - 1)
                told += 1
        tell_present(self)
        say(f"{self.company.name}: {told} incidents and two major ones")
        for role in ("agent", "requester", "owner", "admin"):
            seeded.tokens[role] = create_token(actor=self.actor(role), name="demo", scopes=tuple(SCOPES))[1]
        relay(seeded.tenant.pk)
        activate_tenant(seeded.tenant)
        return seeded

    def _configure(self) -> None:
        for name, description, restricted in TEAMS:
            team = create_team(actor=self.system, name=name, description=description, restricted=restricted)
            self.teams[name] = team.pk
        for name, description in SERVICES:
            self.services[name] = create_service(actor=self.system, name=name, description=description).pk
        for top, below in CATEGORIES:
            parent = create_category(actor=self.system, name=top)
            for name in below:
                self.categories[name] = create_category(actor=self.system, name=name, parent_id=parent.pk).pk

    def _hire(self, seeded: Seeded) -> None:
        organisations = [create_organisation(actor=self.system, name=name) for name in self.company.organisations]
        for role, grants in ROLES.items():
            email = f"{role}@{self.company.domain}"
            self._person(role, NAMES[role], email, grants)
            seeded.logins[role] = email
        for name, team in self.company.agents:
            self._person(name, name, self._address(name), ((Role.AGENT, None, team),))
        for name, organisation in zip(self.company.requesters, itertools.cycle(organisations), strict=False):
            person = self._person(name, name, self._address(name), ((Role.REQUESTER, None, None),))
            update_person(actor=self.system, person_id=person.pk, organisation_id=organisation.pk)
        self._person("sam", "Sam Shared", SHARED_LOGIN, ROLES["agent"])

    def _put_on_call(self, since: date) -> None:
        """One schedule: a week each, and Friday to Sunday nights by those of the service desk; its weekdays have gaps at night."""
        network = [name for name, team in self.company.agents if team in ("Network", "Applications")]
        nights = {day: [["18:00", "08:00"]] for day in ("fri", "sat", "sun")}
        zone = self.company.time_zone
        days = {day: [["08:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
        schedule = create_schedule(
            actor=self.system,
            name="Network on call",
            description="Routers, VPN and everything behind them",
            team_id=self.teams["Network"],
            layers=[
                LayerRules("By day", zone, since, self._ids([*network, "agent"]), time(8), restrictions=days),
                LayerRules("Weekend nights", zone, since, self._ids(["agent", "sam"]), time(18), "days", 1, nights),
            ],
        )

        # Short waits, so that one can watch it: a P1 is told to its team after ten seconds, to those on call half a minute later.
        said = terms(schedule=schedule.pk, wait="30s")
        said["triggers"].append({"event": "incident.opened", "when": {"priority": [1]}})
        with tenant(self.system.tenant_id):
            standing = EscalationPolicy.objects.values_list("pk", flat=True).get(name=CRITICAL)
        update_policy(actor=self.system, policy_id=standing, terms=said)

    def _ids(self, names: list[str]) -> list[UUID]:
        return [self.people[name].pk for name in names]

    def _address(self, name: str) -> str:
        plain = name.lower().replace("’", "").translate(str.maketrans("éáóńśäöüðầ", "eaonsaouda")).replace(" ", ".")
        return f"{''.join(c for c in plain if c.isascii())}@{self.company.domain}"

    def _person(
        self, key: str, name: str, email: str, grants: tuple[tuple[Role, str | None, str | None], ...]
    ) -> Person:
        user, _ = User.objects.get_or_create(email=email, defaults={"password": self.password_hash})
        person = create_person(actor=self.system, name=name, email=email)
        invite_user(actor=self.system, person_id=person.pk, user=user)
        for role, process, team in grants:
            team_id = self.teams[team] if team else None
            grant_role(actor=self.system, person_id=person.pk, role=role, process=process, team_id=team_id)
        update_person(actor=self.system, person_id=person.pk, time_zone=self.company.time_zone)
        self.people[key] = person
        return person

    def actor(self, key: str) -> Actor:
        """Somebody of the company with the rights of now; keys are roles and names."""
        with tenant(self.system.tenant_id):
            actor = actor_of_person(self.system.tenant_id, self.people[key].pk)
        if actor is None:
            raise LookupError(f"{key} has been disabled")
        return actor

    def _moments(self) -> Iterator[datetime]:
        """When incidents are reported: spread over the last four weeks, by day, the last ones this morning."""
        total = self.rounds * len(STORIES)
        span = timedelta(days=28) / total
        for index in range(total):
            moment = self.today - timedelta(days=28) + span * (index + 1)
            yield moment.replace(minute=(index * 17) % 60) - timedelta(hours=3)

    def _tell(self, story: Story, moment: datetime, count: int, *, last_round: bool) -> None:
        company = self.company
        site, device = company.sites[count % len(company.sites)], company.devices[count % len(company.devices)]
        requester = "requester" if count % 5 == 0 else company.requesters[count % len(company.requesters)]
        worker = next((name for name, team in company.agents if team == story.team), "agent")
        if story.team == "Service Desk" and count % 2:
            worker = "agent"
        with clock.at(moment):
            portal = story.channel == "portal"
            ticket = incident.open_incident(
                actor=self.actor(requester if portal else "agent"),
                requester_id=self.people[requester].pk,
                title=story.title.format(site=site, device=device),
                description=story.description.format(site=site, device=device),
                impact=story.impact,
                urgency=story.urgency,
                service_id=self.services[story.service],
                category_id=self.categories[story.category],
                channel=story.channel,
            )
            if story.team:
                # Only its members know a restricted team; everything else is dispatched by the desk.
                dispatcher = self.actor(worker if story.team == "People & HR" else "agent")
                assign_ticket(actor=dispatcher, ticket_id=ticket.pk, team_id=self.teams[story.team])
        steps = story.steps[: len(story.steps) // 2] if last_round else story.steps
        for step in steps:
            moment += timedelta(minutes=step.after)
            if moment > self.today + timedelta(hours=12):
                return
            with clock.at(moment):
                self._act(step, ticket, requester, worker, site, device)

    def _act(self, step: Step, ticket: Ticket, requester: str, worker: str, site: str, device: str) -> None:
        actor = self.actor({"requester": requester}.get(step.who, worker))
        text = step.text.format(site=site, device=device)
        ticket_id = ticket.pk
        match step.verb:
            case "take":
                incident.take_incident(actor=actor, ticket_id=ticket_id)
            case "reply":
                comment_on_ticket(actor=actor, ticket_id=ticket_id, body=text)
            case "note":
                comment_on_ticket(actor=actor, ticket_id=ticket_id, body=text, audience="internal")
            case "hold":
                incident.hold_incident(actor=actor, ticket_id=ticket_id, hold_reason="awaiting_caller", comment=text)
            case "hold_vendor":
                incident.hold_incident(actor=actor, ticket_id=ticket_id, hold_reason="awaiting_vendor", comment=text)
            case "resolve":
                incident.resolve_incident(actor=actor, ticket_id=ticket_id, close_code=step.code, close_notes=text)
            case "reopen":
                incident.reopen_incident(actor=actor, ticket_id=ticket_id, reason=text)
            case "close":
                incident.close_incident(actor=actor, ticket_id=ticket_id)
            case "cancel":
                incident.cancel_incident(actor=actor, ticket_id=ticket_id, reason=text)
            case unknown:
                raise ValueError(f"the demo knows no verb {unknown}")


def midnight(now: datetime) -> datetime:
    """The start of the day, UTC: the demo is the same all day."""
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)

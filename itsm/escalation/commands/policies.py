"""Policies: what they say is a new version each time it changes; runs under way go on under theirs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from itsm.access.decide import authorize
from itsm.escalation.models import EscalationPolicy, EscalationPolicyVersion
from itsm.escalation.runs import clear_policy, current_version
from itsm.escalation.starts import active_policies
from itsm.escalation.steps import Steps, read_steps
from itsm.events.kinds import KINDS
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound, Problems
from itsm.kernel.texts import clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.oncall.models import OnCallSchedule
from itsm.oncall.schedules import visible_schedules
from itsm.sla.models import SlaCalendar
from itsm.tenancy.fetch import refuse_changed, refuse_taken
from itsm.tenancy.fields import TenantModel
from itsm.tenancy.models import Person, Team
from itsm.tickets.kinds import KINDS as TICKET_KINDS

_MODELS: dict[str, type[TenantModel]] = {
    "person": Person,
    "team": Team,
    "schedule": OnCallSchedule,
    "policy": EscalationPolicy,
}


def create_policy(*, actor: Actor, name: str, terms: Any, active: bool = True) -> EscalationPolicy:
    """Add a policy. Raises Invalid that names each place of ``terms`` which cannot be used, or a circle of policies."""
    clean = _name(name)
    steps = read_steps(terms)
    with unit_of_work(actor) as work:
        authorize(actor, "escalation.manage")
        refuse_taken(EscalationPolicy, actor.tenant_id, "an escalation policy", name=clean)
        _refuse_unknown(actor, steps)
        policy = EscalationPolicy(tenant_id=actor.tenant_id, name=clean, is_active=active)
        work.add(policy)
        _write_version(work, policy, 1, terms)
        work.emit("escalation.policy_created", policy=policy.pk, version=1)
    return policy


def update_policy(
    *,
    actor: Actor,
    policy_id: UUID,
    name: str | Unset = UNSET,
    terms: Any = UNSET,
    active: bool | Unset = UNSET,
    expected_version: int | None = None,
) -> EscalationPolicy:
    """Change a policy; what is UNSET stays. One that is put out of use ends its runs with it.

    Raises Conflict unless it has the revision ``expected_version`` (which is not the version of its terms); None does not ask.
    """
    clean = UNSET if name is UNSET else _name(name)
    steps = None if terms is UNSET else read_steps(terms)
    with unit_of_work(actor) as work:
        policy = find_policy(actor, policy_id, lock=True)
        authorize(actor, "escalation.manage")
        refuse_changed(policy.revision, expected_version)
        changed: list[str] = []
        version: int | None = None
        cancelled: int | None = None
        if clean is not UNSET and clean != policy.name:
            refuse_taken(EscalationPolicy, actor.tenant_id, "an escalation policy", but=policy.pk, name=clean)
            policy.name = clean
            changed.append("name")
        newest = current_version(policy)
        if steps is not None and (newest is None or newest.terms != terms):
            _refuse_unknown(actor, steps)
            _refuse_circle(actor, policy, steps)
            version = newest.version + 1 if newest else 1
            _write_version(work, policy, version, terms)
            changed.append("terms")
        if active is not UNSET and active != policy.is_active:
            if active and steps is None and newest is not None:
                _refuse_circle(actor, policy, read_steps(newest.terms))
            policy.is_active = active
            changed.append("is_active")
            if not active:
                cancelled = clear_policy(work, policy, "policy_inactive")
        if changed:
            policy.revision += 1
            work.changed(policy, "revision", *(field for field in changed if field != "terms"))
            work.emit(
                "escalation.policy_changed",
                policy=policy.pk,
                fields=sorted(changed),
                version=version,
                cancelled=cancelled,
            )
    return policy


def find_policy(actor: Actor, policy_id: UUID, *, lock: bool = False) -> EscalationPolicy:
    """The policy. Raises NotFound for one that is unknown, or another tenant's."""
    rows = EscalationPolicy.objects.filter(tenant_id=actor.tenant_id, pk=policy_id)
    policy: EscalationPolicy | None = (rows.select_for_update() if lock else rows).first()
    if policy is None:
        raise NotFound
    return policy


def _name(name: str) -> str:
    problems = Problems()
    clean = clean_text(problems, "name", name, limit=120, required=True, line=True)
    problems.raise_if_any()
    return clean


def _refuse_unknown(actor: Actor, steps: Steps) -> None:
    """Raise Invalid unless everything that the steps name exists and is in use, and every event is one of tickets."""
    problems = Problems()
    named: list[tuple[str, type[TenantModel], UUID]] = [
        (f"{place}/{name}", _MODELS[name], value)
        for place, action in steps.actions()
        for name, value in action.ids.items()
    ]
    named += [(place, SlaCalendar, value) for place, value in steps.calendars()]
    for model in {model for _, model, _ in named}:
        asked = {value for _, other, value in named if other is model}
        rows: Any = visible_schedules(actor) if model is OnCallSchedule else model.objects
        known = set(rows.filter(tenant_id=actor.tenant_id, pk__in=asked, is_active=True).values_list("pk", flat=True))
        known -= actor.hidden_teams
        for place, other, value in named:
            if other is model and value not in known:
                problems.add(place, "unknown_reference", f"There is no active {model._meta.verbose_name} with this id.")
    for index, trigger in enumerate(steps.triggers):
        if trigger.event and not (trigger.event in KINDS and trigger.event.startswith(_of_tickets())):
            text = f"{trigger.event} is no kind of event of tickets. Name one such as incident.reopened."
            problems.add(f"terms/triggers/{index}/event", "unknown_event", text)
    problems.raise_if_any()


def _of_tickets() -> tuple[str, ...]:
    return ("ticket.", *(f"{key}." for key in TICKET_KINDS))


def _refuse_circle(actor: Actor, policy: EscalationPolicy, steps: Steps) -> None:
    """Raise Invalid when policies that start each other would come back to this one."""
    leads = {other.pk: _started(said) for other, said in active_policies(actor.tenant_id)}
    leads[policy.pk] = _started(steps)
    for place, action in steps.actions():
        if action.do != "start_policy":
            continue
        seen, ahead = set[UUID](), [action.ids["policy"]]
        while ahead:
            one = ahead.pop()
            if one == policy.pk:
                raise Invalid.one(
                    f"{place}/policy", "policy_loop", "These policies would start each other in a circle."
                )
            if one not in seen:
                seen.add(one)
                ahead.extend(leads.get(one, ()))


def _started(steps: Steps) -> list[UUID]:
    return [action.ids["policy"] for _, action in steps.actions() if action.do == "start_policy"]


def _write_version(work: UnitOfWork, policy: EscalationPolicy, number: int, terms: Any) -> None:
    work.add(
        EscalationPolicyVersion(
            tenant_id=policy.tenant_id,
            policy_id=policy.pk,
            version=number,
            terms=terms,
            created_by_id=work.actor.person_id,
            created_at=work.now,
        )
    )

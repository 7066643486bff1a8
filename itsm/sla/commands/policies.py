"""Promises: made, changed by new versions, put in order, put out of use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from itsm.access.decide import authorize
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.texts import clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.sla.commands.references import check_references, newest_terms
from itsm.sla.coverage import contradictions, hidden
from itsm.sla.models import Metric, SlaClock, SlaPolicy, SlaPolicyVersion
from itsm.sla.rematch import AT_ONCE, rematch_metric, withdraw_policy
from itsm.sla.terms import Terms, read_terms
from itsm.tenancy.fetch import locked, refuse_changed, refuse_taken

#: More are not read by anybody, and each ticket asks them in turn.
POLICIES_MAX = 200


def create_policy(*, actor: Actor, name: str, metric: str, terms: Any, apply: bool = False) -> SlaPolicy:
    """Add a policy, which is asked before the others of its metric.

    It holds for clocks that start or are retargeted from now on; ``apply`` asks those that are open, too. Raises Invalid
    for a policy that no ticket can meet, and for one that would take all that another one promises.
    """
    problems = Problems()
    clean_name = clean_text(problems, "name", name, limit=120, required=True, line=True)
    if metric not in Metric.values:
        problems.add("metric", "unknown_metric", f"metric must be one of {', '.join(Metric.values)}.")
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "sla.manage")
        checked_terms(actor, metric, terms)
        refuse_taken(SlaPolicy, actor.tenant_id, "a policy", name=clean_name)
        others = _of_metric(actor, metric)
        if len(others) >= POLICIES_MAX:
            raise Invalid.one(
                "metric", "too_many", f"A metric has at most {POLICIES_MAX} policies.", limit=POLICIES_MAX
            )
        policy = SlaPolicy(tenant_id=actor.tenant_id, name=clean_name, metric=metric)
        refuse_hidden([policy, *others], {policy.pk: read_terms(metric, terms)})
        work.add(policy, _version(work, policy, 1, terms))
        _number(work, [policy, *others])
        work.emit("sla.policy_created", policy=policy.pk, metric=metric, version=1, apply=apply)
    if apply:
        rematch_metric(actor.tenant_id, metric, most=AT_ONCE)
    return policy


def change_policy(
    *, actor: Actor, policy_id: UUID, terms: Any, apply: bool = False, expected_version: int | None = None
) -> SlaPolicyVersion:
    """Write the next version. It holds for clocks that start or are retargeted from now on.

    With ``apply``, open clocks of the metric are asked again, too: the first at once, all others within seconds.
    """
    with unit_of_work(actor) as work:
        authorize(actor, "sla.manage")
        policy = _locked(actor, policy_id, expected_version)
        checked_terms(actor, policy.metric, terms)
        newest = newest_terms([policy])[policy.pk]
        if newest.terms == terms and not apply:
            return newest
        if policy.is_active:
            refuse_hidden(_of_metric(actor, policy.metric), {policy.pk: read_terms(policy.metric, terms)})
        version = _version(work, policy, newest.version + 1, terms)
        work.add(version)
        policy.revision += 1
        work.changed(policy, "revision")
        work.emit(
            "sla.policy_changed",
            policy=policy.pk,
            metric=policy.metric,
            version=version.version,
            fields=sorted(name for name in {*terms, *newest.terms} if terms.get(name) != newest.terms.get(name)),
            clocks=_open_clocks(policy),
            apply=apply,
        )
    if apply:
        rematch_metric(actor.tenant_id, policy.metric, most=AT_ONCE)
    return version


def update_policy(
    *,
    actor: Actor,
    policy_id: UUID,
    name: str | Unset = UNSET,
    active: bool | Unset = UNSET,
    apply: bool = False,
    expected_version: int | None = None,
) -> SlaPolicy:
    """Rename a policy, or put it out of use and back.

    Put out of use, it lets go of its open clocks: the next policy that means their ticket takes them over, and where there
    is none they are canceled. Back in use, it holds for clocks that start or are retargeted from then on; with ``apply``,
    which goes with ``active=True`` only, open clocks of its metric are asked again at once. One that is in use already stays
    as it is.
    """
    problems = Problems()
    if apply and active is not True:
        problems.add(
            "apply", "only_with_activation", "apply goes with is_active true: it is for a policy that comes back."
        )
    clean: dict[str, Any] = {}
    if name is not UNSET:
        clean["name"] = clean_text(problems, "name", name, limit=120, required=True, line=True)
    if active is not UNSET:
        clean["is_active"] = active
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "sla.manage")
        policy = _locked(actor, policy_id, expected_version)
        if "name" in clean:
            refuse_taken(SlaPolicy, actor.tenant_id, "a policy", but=policy.pk, name=clean["name"])
        changed = sorted(field for field, value in clean.items() if getattr(policy, field) != value)
        if not changed:
            return policy
        for field in changed:
            setattr(policy, field, clean[field])
        if "is_active" in changed and policy.is_active:
            terms = newest_terms([policy])[policy.pk].terms
            checked_terms(actor, policy.metric, terms)
            others = [other for other in _of_metric(actor, policy.metric) if other.pk != policy.pk]
            order = sorted([policy, *others], key=lambda one: (one.position, str(one.pk)))
            refuse_hidden(order, {policy.pk: read_terms(policy.metric, terms)})
        policy.revision += 1
        work.changed(policy, "revision", *changed)
        work.emit(
            "sla.policy_changed",
            policy=policy.pk,
            metric=policy.metric,
            fields=changed,
            clocks=_open_clocks(policy) if "is_active" in changed else 0,
            apply=apply and "is_active" in changed,
        )
    if "is_active" in changed and not policy.is_active:
        withdraw_policy(actor.tenant_id, policy.pk, most=AT_ONCE)
    elif "is_active" in changed and apply:
        rematch_metric(actor.tenant_id, policy.metric, most=AT_ONCE)
    return policy


def order_policies(*, actor: Actor, metric: str, policy_ids: Sequence[UUID], apply: bool = False) -> None:
    """Say in which order the policies of a metric are asked: all of them, each once. The first that means a ticket holds."""
    if metric not in Metric.values:
        raise Invalid.one("metric", "unknown_metric", f"metric must be one of {', '.join(Metric.values)}.")
    with unit_of_work(actor) as work:
        authorize(actor, "sla.manage")
        rows = {row.pk: row for row in _of_metric(actor, metric, active=False)}
        wanted = list(policy_ids)
        if set(wanted) != set(rows) or len(wanted) != len(rows):
            names = ", ".join(f"{row.pk} ({row.name})" for row in rows.values()) or "none"
            raise Invalid.one("policies", "not_all", f"Name each policy of the metric once: {names}.")
        order = [rows[pk] for pk in wanted]
        refuse_hidden([row for row in order if row.is_active], {}, place="policies")
        if _number(work, order):
            work.emit("sla.policies_ordered", metric=metric, policies=wanted, apply=apply)
    if apply:
        rematch_metric(actor.tenant_id, metric, most=AT_ONCE)


def checked_terms(actor: Actor, metric: str, terms: Any) -> Terms:
    """The terms, when they can be used here. Raises Invalid that names each place."""
    read = read_terms(metric, terms)
    problems = Problems()
    check_references(problems, actor, terms)
    dead = contradictions(read)
    if len(dead) == len(read.rows):
        problems.add("terms/applies", "never_true", "No ticket meets both what applies says and what a target says.")
    else:
        for index in dead:
            problems.add(
                f"terms/targets/{index}/when", "never_true", "No ticket meets both this and what applies says."
            )
    problems.raise_if_any()
    return read


def refuse_hidden(order: Sequence[SlaPolicy], given: dict[UUID, Terms], place: str = "terms") -> None:
    """Raise Invalid when a policy of this order could take no ticket, as those before it take all of them.

    ``given`` are terms that are not stored yet. Policies that were hidden before they came into play are not held against
    anybody: what is asked is whether one of ``given``, or any when none is given, hides or is hidden.
    """
    stored = newest_terms([policy for policy in order if policy.pk not in given])
    terms = {policy.pk: given.get(policy.pk) or read_terms(policy.metric, stored[policy.pk].terms) for policy in order}
    for index, policy in enumerate(order):
        before = [terms[other.pk] for other in order[:index]]
        if not hidden(terms[policy.pk], before):
            continue
        if (
            given
            and policy.pk not in given
            and hidden(terms[policy.pk], [terms[other.pk] for other in order[:index] if other.pk not in given])
        ):
            continue
        if policy.pk in given:
            detail = "It would never hold: policies that are asked before it take every ticket that it means."
        else:
            detail = (
                f"It would take every ticket that “{policy.name}” means. Narrow it, or put that one out of use first."
            )
        raise Invalid.one(place, "never_reached", detail, policy=policy.name)


def _of_metric(actor: Actor, metric: str, *, active: bool = True) -> list[SlaPolicy]:
    rows = SlaPolicy.objects.select_for_update(no_key=True).filter(tenant_id=actor.tenant_id, metric=metric)
    return list((rows.filter(is_active=True) if active else rows).order_by("position", "pk"))


def _number(work: UnitOfWork, order: Sequence[SlaPolicy]) -> bool:
    """Give them the positions 1, 2, 3 …; whether any moved."""
    moved = False
    for position, policy in enumerate(order, start=1):
        if policy.position != position:
            policy.position, moved = position, True
            work.changed(policy, "position")
    return moved


def _version(work: UnitOfWork, policy: SlaPolicy, number: int, terms: Any) -> SlaPolicyVersion:
    return SlaPolicyVersion(
        tenant_id=policy.tenant_id,
        policy_id=policy.pk,
        version=number,
        terms=terms,
        created_by_id=work.actor.person_id,
        created_at=work.now,
    )


def _open_clocks(policy: SlaPolicy) -> int:
    return SlaClock.objects.filter(policy_id=policy.pk, state__in=["running", "paused"]).count()


def _locked(actor: Actor, policy_id: UUID, expected: int | None) -> SlaPolicy:
    policy = locked(SlaPolicy, actor.tenant_id, policy_id, referenced=True)
    refuse_changed(policy.revision, expected)
    return policy

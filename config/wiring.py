"""Who listens to what. The only file that knows all practices; everything that hears of an event is named here."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from config.celery import wake_relay, wake_sender
from config.observe import shared
from incidents import events as incident_events
from incidents import provision as incident_provision
from incidents import reactions
from incidents import telling as incident_telling
from incidents import topics as incident_topics
from incidents.commands.major import declare as declare_by_escalation
from incidents.kind import INCIDENT
from incidents.web.actions import REFUSALS as INCIDENT_REFUSALS
from incidents.web.actions import VERBS as INCIDENT_VERBS
from incidents.web.page import incident_pane
from incidents.web.places import PLACES as INCIDENT_PLACES
from itsm.access import actors, watching
from itsm.access import events as access_events
from itsm.api import idempotency
from itsm.escalation import events as escalation_events
from itsm.escalation import fires as escalation_fires
from itsm.escalation import follow as escalation_follow
from itsm.escalation import majors as escalation_majors
from itsm.escalation import provision as escalation_provision
from itsm.escalation import starts as escalation_starts
from itsm.escalation import sweep as escalation_sweep
from itsm.escalation import telling as escalation_telling
from itsm.events.bus import Consumer, wiring
from itsm.events.kinds import OF_THE_LOG, declare
from itsm.notify import clocks as sla_topics
from itsm.notify import escalating, inbox, planning, sending, standard
from itsm.notify import events as notify_events
from itsm.notify import topics as notify_topics
from itsm.notify.commands import forgetting
from itsm.oncall import events as oncall_events
from itsm.sla import aftermath as sla_aftermath
from itsm.sla import events as sla_events
from itsm.sla import facts as sla_facts
from itsm.sla import fires as sla_fires
from itsm.sla import follow as sla_follow
from itsm.sla import loop
from itsm.sla import provision as sla_provision
from itsm.sla import sweep as sla_sweep
from itsm.sla import telling as sla_telling
from itsm.tenancy import provision as tenancy_provision
from itsm.tickets import chains, files, kinds, search
from itsm.tickets import events as ticket_events
from itsm.tickets import provision as ticket_provision
from itsm.tickets import telling as ticket_telling
from itsm.tickets.commands import erasure
from itsm.tickets.models import Watcher
from itsm.web import panes, places, refusals, sections
from itsm.web.views import escalation as escalation_page
from itsm.web.views import sla as sla_page
from itsm.web.views.oncall import ON_CALL
from itsm.web.views.service_levels import SERVICE_LEVELS

#: What a new tenant gets, in this order.
PROVISION: tuple[Callable[[UUID], None], ...] = (
    tenancy_provision.provision,
    ticket_provision.provision,
    incident_provision.provision,
    sla_provision.provision,
    escalation_provision.provision,
)


def connect() -> None:
    """Connect everything. Called once per process, when Django is ready."""
    if wiring.consumers:
        return
    declare(*OF_THE_LOG, *access_events.KINDS, *ticket_events.KINDS, *incident_events.KINDS, *sla_events.KINDS)
    declare(*notify_events.KINDS, *oncall_events.KINDS, *escalation_events.KINDS)
    actors.count_unread(inbox.UNREAD)
    watching.connect(Watcher.objects)
    wiring.bare_tickets = chains.bare_tickets
    kinds.register(INCIDENT)
    panes.register(INCIDENT.key, incident_pane)
    places.register(*INCIDENT_PLACES, SERVICE_LEVELS, ON_CALL)
    sections.register(sla_page.section, escalation_page.section)
    refusals.register(INCIDENT_VERBS, INCIDENT_REFUSALS)
    ticket_telling.connect()
    escalation_telling.connect()
    escalation_majors.register(declare_by_escalation)
    incident_telling.connect()
    standard.connect()
    sla_topics.connect()
    incident_topics.connect()
    escalating.connect()
    sla_telling.connect()
    # In the transaction of the change; clocks even in its statements.
    wiring.keep(sla_follow.follow)
    wiring.keep(escalation_follow.follow)
    wiring.subscribe(("sla.threshold_reached", "sla.breached"), escalation_starts.start_for_clock)
    wiring.react(("ticket.commented",), reactions.resume_on_reply)
    sla_facts.keep_cadence(
        begins=("incident.major_declared", "incident.major_resumed"),
        kept=("incident.major_update_sent",),
        ends=("incident.major_stood_down",),
    )
    wiring.react(("incident.major_update_sent",), reactions.copy_update)
    wiring.react(
        ("incident.started", "incident.held", "incident.resumed", "incident.resolved"), reactions.cascade_to_children
    )
    wiring.subscribe(("ticket.texts_removed",), reactions.remove_notes)
    wiring.subscribe(("ticket.texts_removed",), reactions.remove_major_texts)
    wiring.subscribe(("ticket.texts_removed",), erasure.forget_copies)
    wiring.subscribe(("person.erased",), reactions.remove_imported_notes)
    wiring.subscribe(("person.erased", "texts.retired"), idempotency.forget_answers)
    wiring.subscribe(("person.erased",), forgetting.forget_person)
    wiring.subscribe(("ticket.texts_removed",), forgetting.forget_texts)
    # After it, at least once.
    # The events of a kind of ticket begin with its key.
    of_tickets = ("ticket.", *(f"{key}." for key in kinds.KINDS))
    wiring.consume(Consumer("escalation.start", of_tickets, escalation_starts.start_for_event))
    wiring.consume(Consumer("search.index", of_tickets, search.index_event))
    wiring.consume(
        Consumer(
            "files.settle",
            ("ticket.attached", "ticket.detached", "ticket.texts_removed"),
            files.settle_file,
            outside=True,
        )
    )
    # Last: it hears whatever some topic hears, and all that webhooks may tell.
    heard = tuple(dict.fromkeys((*of_tickets, "escalation.", *notify_topics.kinds())))
    wiring.consume(Consumer("notify.plan", heard, planning.plan))
    planning.wake_sender.append(wake_sender)
    sending.counted.append(shared.dispatched)
    wiring.consume(
        Consumer(
            "sla.recompute",
            ("sla.calendar_changed", "sla.policy_created", "sla.policy_changed", "sla.policies_ordered"),
            sla_aftermath.follow_change,
            outside=True,
        )
    )
    # What the sweeper's loop does in each round: clocks, then what they start.
    loop.SWEEPS[:] = [
        loop.Sweep(sla_sweep.CLOCKS, sla_fires.tell_all),
        loop.Sweep(escalation_sweep.RUNS, escalation_fires.STEPS.tell_all),
    ]
    wiring.wake_relay = wake_relay
    wiring.sealed = shared.sealed

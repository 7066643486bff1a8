"""Event kinds of incidents. ``state`` is the pair [old, new] of codes on the wire."""

from itsm.events.kinds import kind

KINDS = (
    kind(
        "incident.opened",
        "state impact urgency priority requester channel",
        "service category team assignee",
        texts="title description",
    ),
    kind("incident.started", "state"),
    # The question to the caller is a comment that this causes; the reply is what causes the resuming.
    kind("incident.held", "state hold_reason"),
    kind("incident.resumed", "state hold_reason"),
    kind("incident.resolved", "state close_code", texts="close_notes"),
    kind("incident.reopened", "state", texts="reason"),
    kind("incident.closed", "state", "close_code"),
    kind("incident.canceled", "state", texts="reason"),
    kind("incident.merged", "state target"),
    kind("incident.absorbed", "duplicate watchers"),
    # Leading a major incident. ``because`` is by_hand, escalation, canceled or merged; ``into`` names the incident merged into.
    kind("incident.major_declared", "commander because", texts="reason"),
    # ``role`` is commander, role or stakeholder; ``person`` is the pair [old, new]. The name of a role is what people typed.
    kind("incident.major_role_changed", "role person", texts="name"),
    # ``recipients`` are all persons whom it is for, each once; ``children`` the tickets whose timelines get a copy.
    kind("incident.major_update_sent", "recipients children", texts="body"),
    kind("incident.major_update_copied", "major update", texts="body", quiet=True),
    kind("incident.major_stood_down", "because", "into", texts="reason"),
    kind("incident.major_review_due", "due_at"),
    # Told again each day until it is done. ``commander`` is null when nobody commands it who could.
    kind("incident.major_review_overdue", "due_at commander", quiet=True),
    kind("incident.major_resumed"),
    kind("incident.major_reviewed", "actions", texts="went_well went_badly causes actions"),
    # History that was recorded elsewhere, row by row: our state before and after (the first of a ticket has none before),
    # the fields that changed as [old, new], and under "source" what the other system said in its own words.
    # "resolved_by" is whose words the close notes are.
    kind("incident.imported", "state source", "changes hold_reason resolved_by", texts="title description close_notes"),
)

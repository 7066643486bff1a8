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
    # History that was recorded elsewhere, row by row: our state before and after (the first of a ticket has none before),
    # the fields that changed as [old, new], and under "source" what the other system said in its own words.
    # "resolved_by" is whose words the close notes are.
    kind("incident.imported", "state source", "changes hold_reason resolved_by", texts="title description close_notes"),
)

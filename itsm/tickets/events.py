"""Event kinds of the spine. Change kinds carry [old, new] pairs of ids and codes; texts go beside the event."""

from itsm.events.kinds import kind

KINDS = (
    kind("ticket.commented", "comment audience", "attachments mentions", texts="body"),
    kind("ticket.attached", "attachment audience size sha256", texts="name"),
    kind("ticket.detached", "attachment"),
    kind("ticket.assigned", "team assignee"),
    kind("ticket.updated", "changes", texts="title description"),
    kind("ticket.watched", "person"),
    kind("ticket.unwatched", "person"),
    kind("ticket.linked", "target link"),
    kind("ticket.unlinked", "target link"),
    # ``reason`` is erasure or retention; ``person`` whose texts they were, when not all of the ticket's.
    kind("ticket.texts_removed", "reason", "person"),
    # What was removed for good, by kind; the tickets that retention stripped have events of their own.
    kind("person.erased", "person removed"),
    kind("texts.retired", "tickets before"),
    kind("service.created", "service"),
    kind("service.changed", "service fields"),
    kind("category.created", "category"),
    kind("category.changed", "category fields"),
    kind("priority_rule.changed", "impact urgency priority"),
    kind("settings.changed", "fields"),
)

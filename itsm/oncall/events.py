"""Event kinds of on-call schedules. Who is on call when stands in the payloads: ids and instants, no text of anybody's."""

from itsm.events.kinds import kind

KINDS = (
    kind("oncall.schedule_created", "schedule layers", "team"),
    # ``layers`` are the rules as they are now, when they changed.
    kind("oncall.schedule_changed", "schedule fields", "layers"),
    # ``person`` is None where nobody shall be on call; ``swap`` when somebody handed over a shift of his own.
    kind("oncall.override_added", "schedule override starts_at ends_at person swap", "source"),
    kind("oncall.override_removed", "schedule override"),
    kind("oncall.calendar_imported", "schedule added removed kept left_out"),
    kind("oncall.feed_created", "feed person", "schedule"),
    kind("oncall.feed_revoked", "feed person"),
)

"""Event kinds of what is configured here. What was sent to whom is the ledger's affair and no event."""

from itsm.events.kinds import kind

KINDS = (
    kind("notification.preferences_changed", "fields", "person"),
    kind("template.changed", "template language"),
    kind("template.removed", "template language"),
    kind("webhook.created", "endpoint kinds"),
    kind("webhook.changed", "endpoint fields"),
    kind("webhook.rotated", "endpoint previous_until"),
    # Too many failures in a row, or the other side said 410 Gone.
    kind("webhook.disabled", "endpoint failures"),
)

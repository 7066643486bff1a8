"""Event kinds of service levels. Those of a ticket name the clock and its metric; thresholds are written as in the policy."""

from itsm.events.kinds import kind

KINDS = (
    # ``because`` names the fields whose change brought another promise; pairs are [old, new].
    kind("sla.retargeted", "clock metric promise policy_version due because"),
    # ``coalesced`` are thresholds that had been overtaken when the sweep came. ``stale``: the clock had moved on meanwhile.
    kind("sla.threshold_reached", "clock metric threshold due_at fired_at", "coalesced stale", quiet=True),
    kind("sla.breached", "clock metric threshold due_at fired_at", "coalesced stale", quiet=True),
    kind("sla.calendar_created", "calendar", ""),
    # ``clocks`` is how many open ones go on by the new hours.
    kind("sla.calendar_changed", "calendar", "version fields clocks"),
    # No calendar: the service or organisation lives by none of its own any more.
    kind("sla.calendar_chosen", "calendar", "service organisation"),
    kind("sla.policy_created", "policy metric", "version apply"),
    # ``apply``: open clocks are asked again, too, and not only those that start or are retargeted.
    kind("sla.policy_changed", "policy", "metric version fields clocks apply"),
    kind("sla.policies_ordered", "metric policies", "apply"),
)

"""Event kinds of escalation. Those of a ticket are quiet: whoever edits it is not disturbed by people being called."""

from itsm.events.kinds import kind

KINDS = (
    # ``trigger`` is what started it: clock, event, hand or policy.
    kind("escalation.started", "run policy policy_version trigger", "metric threshold", quiet=True),
    # ``actions``: what was done, each with its outcome and whom it told; ``instead``: who was asked before and was not there.
    # ``recipients``: whoever is told of this step. ``late``: told too late to wake anybody.
    kind(
        "escalation.step_taken",
        "run policy generation loop step due_at fired_at actions recipients",
        "skipped unmet late exhausted",
        quiet=True,
    ),
    kind("escalation.acknowledged", "run policy generation reason", "until", quiet=True),
    # The acknowledgement ran out and the ticket is still open.
    kind("escalation.restarted", "run policy generation", quiet=True),
    kind("escalation.cancelled", "run policy reason", quiet=True),
    # What another system shall hear: ``hook`` is the policy's word for it.
    kind("escalation.webhook", "run policy step hook", quiet=True),
    kind("escalation.major_requested", "run policy step", quiet=True),
    # Nobody who may read the ticket could be told. It belongs to no ticket, so that those who run the desk may read it.
    kind("escalation.unanswered", "subject run policy step recipients"),
    kind("escalation.policy_created", "policy", "version"),
    kind("escalation.policy_changed", "policy fields", "version cancelled"),
)

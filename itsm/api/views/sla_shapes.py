"""What calendars and policies look like on the wire, and a preview of either."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from itsm.api.shapes import Day, Named, OneOf, Outgoing, Reference, Shape, Text, Whatever
from itsm.sla.models import Metric
from itsm.sla.preview import Preview

TAG = "service levels"
_NAME_MAX = 120


class NewCalendar(Shape):
    """``hours`` is the JSON of calendar export; its zone is for good. ``labels`` names exceptions by date."""

    name = Text(max_length=_NAME_MAX)
    hours = Whatever()
    labels = Whatever(required=False)
    effective_from = Day(required=False)


class CalendarChanges(Shape):
    """Hours are not patched: they are the next version."""

    remedies: ClassVar = {"hours": "Use POST …/versions/.", "time_zone": "The zone of a calendar is for good."}
    name = Text(max_length=_NAME_MAX, required=False, allow_blank=False)
    is_active = serializers.BooleanField(required=False)


class NewCalendarVersion(Shape):
    """Without a date it holds from today. Labels that are not sent stay with the dates that are still exceptions."""

    hours = Whatever()
    labels = Whatever(required=False)
    effective_from = Day(required=False)


class HoursToTry(Shape):
    """Hours that are tried and not saved."""

    hours = Whatever()
    effective_from = Day(required=False)


class CalendarUser(Shape):
    """Who lives by the calendar: a service, or an organisation of requesters."""

    service = Reference(required=False)
    organisation = Reference(required=False)


class CalendarVersionOut(Outgoing):
    """Hours from a date on, as calendar export writes them."""

    version = serializers.IntegerField()
    effective_from = serializers.DateField()
    hours = serializers.DictField()
    labels = serializers.DictField(child=serializers.CharField())
    created_by = Named(allow_null=True)
    created_at = serializers.DateTimeField()


class CalendarOut(Outgoing):
    """Hours of work. ``revision`` is its ETag."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    time_zone = serializers.CharField()
    is_active = serializers.BooleanField()
    revision = serializers.IntegerField()


class CalendarDetailOut(CalendarOut):
    """A calendar with its newest hours, and who lives by it without being told so by a policy."""

    newest = CalendarVersionOut()
    services = Named(many=True)
    organisations = Named(many=True)


class ExportOut(Outgoing):
    """What `manage.py sla_deadline` and an import take."""

    timezone = serializers.CharField()
    weekly = serializers.DictField(required=False)
    always = serializers.BooleanField(required=False)
    exceptions = serializers.DictField()


class HolidayOut(Outgoing):
    """A public holiday as an exception that could be. ``advised``: it changes something, and its date is sure."""

    date = serializers.DateField()
    name = serializers.CharField()
    shifts = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    half_day = serializers.BooleanField()
    observed = serializers.BooleanField()
    estimated = serializers.BooleanField()
    idle = serializers.BooleanField(help_text="Nobody works on that day anyway.")
    taken = serializers.BooleanField(help_text="The calendar has an exception on it already.")
    advised = serializers.BooleanField()


class HolidaysOut(Outgoing):
    """Holidays to look through. To take some over, send the calendar's hours with them as its next version."""

    results = HolidayOut(many=True)


class MoveOut(Outgoing):
    """A clock that would go on otherwise. Pairs are [now, then]; no deadline or promise is null or empty."""

    number = serializers.CharField()
    metric = serializers.ChoiceField(choices=Metric.values)
    state = serializers.CharField()
    promise = serializers.ListField(child=serializers.CharField(allow_blank=True))
    due_at = serializers.ListField(child=serializers.DateTimeField(allow_null=True))


class PreviewOut(Outgoing):
    """Open clocks of tickets that you see: how many were tried, how many would move, and the first of them."""

    at = serializers.DateTimeField()
    clocks = serializers.IntegerField()
    moved = serializers.IntegerField()
    earlier = serializers.IntegerField()
    later = serializers.IntegerField()
    overdue = serializers.IntegerField(help_text="Late as soon as it is saved.")
    dropped = serializers.IntegerField(help_text="Promised nothing any more.")
    complete = serializers.BooleanField(help_text="Whether all open clocks were tried.")
    moves = MoveOut(many=True)


def shown_preview(found: Preview) -> dict[str, Any]:
    """A preview as its shape says."""
    names = ("at", "clocks", "moved", "earlier", "later", "overdue", "dropped", "complete")
    return {
        **{name: getattr(found, name) for name in names},
        "moves": [
            {
                "number": move.number,
                "metric": move.metric,
                "state": move.state,
                "promise": [move.promise, move.new_promise],
                "due_at": [move.before, move.after],
            }
            for move in found.moves
        ],
    }


class NewPolicy(Shape):
    """A new policy is asked before the others of its metric. ``apply`` asks the clocks that are open now, too."""

    name = Text(max_length=_NAME_MAX)
    metric = OneOf(choices=Metric.values)
    terms = Whatever()
    apply = serializers.BooleanField(required=False, default=False)


class PolicyChanges(Shape):
    """Terms are not patched: they are the next version."""

    remedies: ClassVar = {"terms": "Use POST …/versions/.", "position": "Use POST /sla-policies/order/."}
    name = Text(max_length=_NAME_MAX, required=False, allow_blank=False)
    is_active = serializers.BooleanField(required=False)
    apply = serializers.BooleanField(
        required=False, help_text="With `is_active` true only: open clocks are asked at once as the policy comes back."
    )


class NewPolicyVersion(Shape):
    """It holds for clocks that start or are retargeted from now on; with ``apply``, for those that are open, too."""

    terms = Whatever()
    apply = serializers.BooleanField(required=False, default=False)


class TermsToTry(Shape):
    """Terms that are tried and not saved."""

    terms = Whatever()


class NewTermsToTry(TermsToTry):
    """Terms of a policy that there is not yet."""

    metric = OneOf(choices=Metric.values)


class PolicyOrder(Shape):
    """All policies of a metric, each once, in the order in which they are asked."""

    metric = OneOf(choices=Metric.values)
    policies = serializers.ListField(child=Reference(), max_length=1000)
    apply = serializers.BooleanField(required=False, default=False)


class PolicyVersionOut(Outgoing):
    """What a policy says."""

    version = serializers.IntegerField()
    terms = serializers.DictField()
    created_by = Named(allow_null=True)
    created_at = serializers.DateTimeField()


class PolicyOut(Outgoing):
    """A promise by name. Of the active ones of a metric, the first by position that means a ticket holds."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    metric = serializers.ChoiceField(choices=Metric.values)
    position = serializers.IntegerField()
    is_active = serializers.BooleanField()
    revision = serializers.IntegerField()


class PolicyDetailOut(PolicyOut):
    """A policy with its newest terms."""

    newest = PolicyVersionOut()


class OrderOut(Outgoing):
    """The policies of a metric in the order in which they are asked."""

    results = PolicyOut(many=True)


class MissOut(Outgoing):
    """A condition that the ticket does not meet."""

    condition = serializers.CharField()
    wanted = serializers.ListField(child=serializers.CharField())
    found = serializers.ListField(child=serializers.CharField())


class AskedOut(Outgoing):
    """A policy that was asked. Without a target, ``misses`` says why: what applies says, or one entry for each target."""

    policy = Named()
    version = serializers.IntegerField()
    target = serializers.IntegerField(allow_null=True, help_text="The number of the target that holds, from 1.")
    promise = serializers.CharField(allow_blank=True)
    misses = serializers.ListField(child=MissOut(many=True))


class MatchOut(Outgoing):
    """What a metric of the ticket would be promised if it were asked now."""

    metric = serializers.ChoiceField(choices=Metric.values)
    holds = Named(allow_null=True)
    promise = serializers.CharField(allow_blank=True)
    calendar = serializers.CharField(allow_blank=True)
    calendar_source = serializers.CharField(allow_blank=True)
    asked = AskedOut(many=True)
    not_asked = serializers.ListField(child=serializers.CharField())


class MatchesOut(Outgoing):
    """For each metric."""

    results = MatchOut(many=True)

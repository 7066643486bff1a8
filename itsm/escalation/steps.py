"""What an escalation policy says: JSON in, Steps out, and which of it a moment meets. Plain Python.

``{"triggers": [{"sla": {"metric": "resolution", "threshold": "75%"}, "when": {"priority": [1]}}], "steps": [{"after": "15m",
"do": [{"action": "notify_team"}]}]}``; the members are those of MEMBERS, and docs/guides/admins.md tells them with examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from itsm.kernel.errors import Invalid, Problems
from itsm.sla.targets import read_target
from itsm.sla.terms import STOPS, Condition, Facets, read_condition, read_threshold_text

MEMBERS = (
    "triggers", "steps", "loops", "loop_gap", "on_exhausted", "start_delay", "ack_timeout", "calendar", "within_calendar",
    "max_lateness",
)  # fmt: skip
STEP_MEMBERS = ("after", "business", "calendar", "if", "do")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Which members each action takes; those in the first set are ids.
ACTIONS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "notify_person": (frozenset({"person"}), frozenset()),
    "notify_team": (frozenset({"team"}), frozenset()),
    "notify_on_call": (frozenset({"schedule"}), frozenset({"level"})),
    "notify_managers": (frozenset(), frozenset()),
    "reassign": (frozenset({"team", "person", "schedule"}), frozenset({"level"})),
    "raise_priority": (frozenset(), frozenset({"by", "cap"})),
    "declare_major": (frozenset(), frozenset()),
    "webhook": (frozenset(), frozenset({"name"})),
    "comment": (frozenset(), frozenset({"text"})),
    "start_policy": (frozenset({"policy"}), frozenset()),
}
NOTIFYING = frozenset({"notify_person", "notify_team", "notify_on_call", "notify_managers"})
_NEEDED = {"notify_person": "person", "notify_on_call": "schedule", "start_policy": "policy"}
STEPS_MAX, ACTIONS_MAX, TRIGGERS_MAX, LOOPS_MAX, TEXT_MAX = 20, 10, 20, 9, 2000
#: The longest wait between two steps.
WAIT_MAX = 31 * 86_400
_WALL = re.compile(r"\A([01][0-9]|2[0-3]):([0-5][0-9])\Z|\A24:00\Z")
_NAME = re.compile(r"\A[a-z][a-z0-9_.-]{0,59}\Z")
_KIND = re.compile(r"\A[a-z][a-z0-9_]{0,39}\.[a-z][a-z0-9_]{0,39}\Z")


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts a run: a threshold of a clock, or an event of a ticket (for the ``times``-th time or later)."""

    when: Condition
    metric: str = ""
    threshold: str = ""
    event: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Within:
    """A window of the week on the wall clock, in minutes of the day; one whose end is not later runs over midnight."""

    begin: int
    end: int
    days: frozenset[int]
    zone: str

    def holds(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether the window is open at ``at`` (aware). ``zone`` counts when the policy names none."""
        local = at.astimezone(ZoneInfo(self.zone) if self.zone else zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a step does. ``ids`` and ``values`` are those that ACTIONS names."""

    do: str
    ids: Mapping[str, UUID] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What happens ``after`` seconds since the step before it, by the wall or (``business``) by a calendar."""

    after: int
    do: tuple[Action, ...]
    business: bool = False
    calendar: UUID | None = None
    unacknowledged: bool = False
    priority_at_least: int | None = None
    within: Within | None = None

    @property
    def speaks(self) -> bool:
        return any(action.do in NOTIFYING for action in self.do)


@dataclass(frozen=True, slots=True)
class Steps:
    """A policy version, ready to be asked. Spans are seconds; no ``ack_timeout`` means that an acknowledgement is for good."""

    triggers: tuple[Trigger, ...]
    steps: tuple[Step, ...]
    loops: int
    loop_gap: int
    on_exhausted: tuple[Action, ...]
    start_delay: int
    ack_timeout: int | None
    calendar: UUID | None
    within_calendar: UUID | None
    max_lateness: int

    def actions(self) -> Iterator[tuple[str, Action]]:
        """All actions with their places, for whoever checks what they name."""
        for number, step in enumerate(self.steps):
            for index, action in enumerate(step.do):
                yield f"terms/steps/{number}/do/{index}", action
        for index, action in enumerate(self.on_exhausted):
            yield f"terms/on_exhausted/{index}", action

    def calendars(self) -> Iterator[tuple[str, UUID]]:
        """All calendars that it names, with their places."""
        named = [("terms/calendar", self.calendar), ("terms/within_calendar", self.within_calendar)]
        named += [(f"terms/steps/{number}/calendar", step.calendar) for number, step in enumerate(self.steps)]
        yield from ((place, found) for place, found in named if found is not None)

    def started_by_clock(self, metric: str, thresholds: frozenset[str], facets: Facets) -> bool:
        """Whether a clock of this metric that reached these thresholds starts it."""
        return any(
            one.metric == metric and one.threshold in thresholds and facets.meets(one.when) for one in self.triggers
        )

    def started_by_event(self, kind: str) -> list[Trigger]:
        """The triggers that hear this kind of event."""
        return [one for one in self.triggers if one.event == kind]

    def asks(self) -> frozenset[str]:
        """The facets that its triggers look at."""
        return frozenset[str]().union(*(one.when for one in self.triggers))


def read_steps(data: Any) -> Steps:
    """The steps that this JSON value means. Raises Invalid that names each place which cannot be used."""
    problems = Problems()
    if not isinstance(data, Mapping):
        raise Invalid.one("terms", "not_an_object", "terms is a JSON object with steps, and triggers that start them.")
    _members(problems, "terms", data, MEMBERS)
    timeout = data.get("ack_timeout")
    read = Steps(
        triggers=_triggers(problems, data.get("triggers", [])),
        steps=_steps(problems, data.get("steps"), data.get("calendar") is not None),
        loops=_number(problems, "terms/loops", data.get("loops", 0), 0, LOOPS_MAX),
        loop_gap=_span(problems, "terms/loop_gap", data.get("loop_gap", "15m"), least=1),
        on_exhausted=_actions(problems, "terms/on_exhausted", data.get("on_exhausted", []), empty=True),
        start_delay=_span(problems, "terms/start_delay", data.get("start_delay", "10s")),
        ack_timeout=None if timeout is None else _span(problems, "terms/ack_timeout", timeout, least=1),
        calendar=_id(problems, "terms/calendar", data.get("calendar")),
        within_calendar=_id(problems, "terms/within_calendar", data.get("within_calendar")),
        max_lateness=_span(problems, "terms/max_lateness", data.get("max_lateness", "1h"), least=1),
    )
    problems.raise_if_any()
    return read


def _members(problems: Problems, place: str, given: Mapping[str, Any], known: tuple[str, ...] | frozenset[str]) -> None:
    for name in given:
        if name not in known:
            problems.add(f"{place}/{str(name)[:40]}", "unknown_member", f"Known members: {', '.join(sorted(known))}.")


def _triggers(problems: Problems, given: Any) -> tuple[Trigger, ...]:
    if not isinstance(given, list) or len(given) > TRIGGERS_MAX:
        problems.add("terms/triggers", "not_a_list", f"List up to {TRIGGERS_MAX} triggers; [] is started by hand only.")
        return ()
    found = []
    for index, item in enumerate(given):
        place = f"terms/triggers/{index}"
        if not isinstance(item, Mapping) or ("sla" in item) == ("event" in item):
            example = '{"sla": {"metric": "resolution", "threshold": "75%"}} or {"event": "incident.opened"}'
            problems.add(place, "bad_trigger", f"A trigger is {example}, with a condition under when.")
            continue
        _members(problems, place, item, ("sla", "event", "times", "when"))
        when = read_condition(problems, f"{place}/when", item.get("when", {}))
        if "sla" in item:
            found.append(_of_clock(problems, place, item["sla"], when))
        else:
            found.append(_of_event(problems, place, item, when))
    return tuple(found)


def _of_clock(problems: Problems, place: str, given: Any, when: Condition) -> Trigger:
    asked = given if isinstance(given, Mapping) else {}
    metric, threshold = asked.get("metric"), asked.get("threshold")
    if metric not in STOPS:
        problems.add(f"{place}/sla/metric", "unknown_metric", f"metric must be one of {', '.join(STOPS)}.")
    written = "100%" if threshold == "breached" else read_threshold_text(threshold)
    if written is None:
        problems.add(
            f"{place}/sla/threshold", "bad_threshold", "Write breached, a share such as 75%, or a time before: -30m."
        )
    return Trigger(when, metric=str(metric), threshold=written or "")


def _of_event(problems: Problems, place: str, given: Mapping[str, Any], when: Condition) -> Trigger:
    event = given["event"]
    if not isinstance(event, str) or not _KIND.match(event) or event.startswith(("sla.", "escalation.")):
        problems.add(f"{place}/event", "unknown_event", "Name a kind of event of tickets, such as incident.reopened.")
    times = _number(problems, f"{place}/times", given.get("times", 1), 1, 100)
    return Trigger(when, event=str(event), times=times)


def _steps(problems: Problems, given: Any, has_calendar: bool) -> tuple[Step, ...]:
    if not isinstance(given, list) or not 0 < len(given) <= STEPS_MAX:
        problems.add("terms/steps", "required", f"A policy has 1 to {STEPS_MAX} steps.")
        return ()
    return tuple(_step(problems, f"terms/steps/{n}", item, has_calendar) for n, item in enumerate(given))


def _step(problems: Problems, place: str, given: Any, has_calendar: bool) -> Step:
    if not isinstance(given, Mapping):
        problems.add(place, "bad_step", 'A step is {"after": "15m", "do": [{"action": "notify_team"}]}.')
        return Step(0, ())
    _members(problems, place, given, STEP_MEMBERS)
    business = given.get("business", False)
    if not isinstance(business, bool):
        problems.add(f"{place}/business", "not_a_boolean", "business is true or false.")
    calendar = _id(problems, f"{place}/calendar", given.get("calendar"))
    if business is True and calendar is None and not has_calendar:
        problems.add(f"{place}/calendar", "required", "Business time needs a calendar, of the step or of the policy.")
    asked = given.get("if", {})
    if not isinstance(asked, Mapping):
        problems.add(f"{place}/if", "not_an_object", "if is an object of unacknowledged, priority_at_least and within.")
        asked = {}
    _members(problems, f"{place}/if", asked, ("unacknowledged", "priority_at_least", "within"))
    least = asked.get("priority_at_least")
    flag = asked.get("unacknowledged", False)
    if not isinstance(flag, bool):
        problems.add(f"{place}/if/unacknowledged", "not_a_boolean", "unacknowledged is true or false.")
    return Step(
        after=_span(problems, f"{place}/after", given.get("after", "0s")),
        do=_actions(problems, f"{place}/do", given.get("do")),
        business=business is True,
        calendar=calendar,
        unacknowledged=flag is True,
        priority_at_least=None if least is None else _number(problems, f"{place}/if/priority_at_least", least, 1, 5),
        within=_within(problems, f"{place}/if/within", asked["within"]) if "within" in asked else None,
    )


def _within(problems: Problems, place: str, given: Any) -> Within | None:
    if not isinstance(given, Mapping):
        problems.add(place, "bad_window", 'A window is {"from": "08:30", "to": "17:30", "days": ["mon", "fri"]}.')
        return None
    _members(problems, place, given, ("from", "to", "days", "time_zone"))
    begin, end = (_minute(given.get(name)) for name in ("from", "to"))
    if begin is None or end is None or begin == end:
        problems.add(place, "bad_window", "from and to are two times of the day, such as 08:30 and 17:30.")
    days = given.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not all(day in DAYS for day in days):
        problems.add(f"{place}/days", "unknown_value", f"days lists some of {', '.join(DAYS)}.")
        days = []
    zone = given.get("time_zone", "")
    try:
        if not isinstance(zone, str) or len(zone) > 64:
            raise ValueError
        ZoneInfo(zone) if zone else None
    except (ValueError, ZoneInfoNotFoundError, OSError):
        problems.add(f"{place}/time_zone", "unknown_zone", "Name a time zone such as Europe/Berlin.")
        zone = ""
    return Within(begin or 0, end or 0, frozenset(DAYS.index(day) for day in days), zone)


def _minute(text: Any) -> int | None:
    if not isinstance(text, str) or not _WALL.match(text):
        return None
    return int(text[:2]) * 60 + int(text[3:])


def _actions(problems: Problems, place: str, given: Any, *, empty: bool = False) -> tuple[Action, ...]:
    if not isinstance(given, list) or len(given) > ACTIONS_MAX or not (given or empty):
        problems.add(place, "not_a_list", f"List {0 if empty else 1} to {ACTIONS_MAX} actions.")
        return ()
    found = (_action(problems, f"{place}/{index}", item) for index, item in enumerate(given))
    return tuple(action for action in found if action is not None)


def _action(problems: Problems, place: str, given: Any) -> Action | None:
    do = given.get("action") if isinstance(given, Mapping) else None
    if not isinstance(do, str) or do not in ACTIONS:
        problems.add(f"{place}/action", "unknown_action", f"action is one of {', '.join(ACTIONS)}.")
        return None
    ids, values = ACTIONS[do]
    _members(problems, place, given, frozenset({"action"}) | ids | values)
    named = {name: _id(problems, f"{place}/{name}", given[name]) for name in ids if given.get(name) is not None}
    if do in _NEEDED and _NEEDED[do] not in named:
        problems.add(f"{place}/{_NEEDED[do]}", "required", f"{do} needs the id of a {_NEEDED[do]}.")
    if do == "reassign" and len(named) != 1:
        problems.add(place, "required", "reassign names one of team, person or schedule.")
    clean: dict[str, Any] = {}
    if "level" in values:
        clean["level"] = _number(problems, f"{place}/level", given.get("level", 1), 1, 10)
    if do == "raise_priority":
        clean["by"] = _number(problems, f"{place}/by", given.get("by", 1), 1, 4)
        clean["cap"] = _number(problems, f"{place}/cap", given.get("cap", 1), 1, 5)
    if do == "webhook":
        clean["name"] = given.get("name", "escalation")
        if not isinstance(clean["name"], str) or not _NAME.match(clean["name"]):
            problems.add(f"{place}/name", "bad_code", "name is a short code such as pager.main.")
    if do == "comment":
        text = given.get("text")
        if not isinstance(text, str) or not text.strip() or "\x00" in text:
            problems.add(f"{place}/text", "required", "Write what the comment shall say.")
        elif len(text) > TEXT_MAX:
            problems.add(f"{place}/text", "too_long", f"A comment has at most {TEXT_MAX} characters.")
        clean["text"] = text
    return Action(do, {name: value for name, value in named.items() if value is not None}, clean)


def _number(problems: Problems, place: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        problems.add(place, "out_of_range", f"Give a number from {low} to {high}.", low=low, high=high)
        return low
    return value


def _span(problems: Problems, place: str, text: Any, *, least: int = 0) -> int:
    try:
        target = read_target(text if isinstance(text, str) else "")
    except Invalid:
        target = None
    if target is None or target.days or not least <= target.seconds <= WAIT_MAX:
        problems.add(place, "bad_span", "Write a time as 15m, 1h30m or 45s, at most 31 days.")
        return least
    return target.seconds


def _id(problems: Problems, place: str, value: Any) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(value if isinstance(value, str) else "")
    except ValueError:
        problems.add(place, "not_an_id", "This must be the id of one that exists.")
        return UUID(int=0)

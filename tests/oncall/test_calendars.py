"""Calendars in and out: what each event becomes, what is left out and why, hostile texts, and the addresses of feeds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from icalendar import Calendar

from itsm.access.commands import set_person_active
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden, Invalid, NotFound
from itsm.oncall import commands
from itsm.oncall.calendar_in import Reading, decode, read_calendar
from itsm.oncall.commands.importing import Review
from itsm.oncall.models import OnCallOverride, OnCallSchedule
from itsm.oncall.who import on_call
from tests.factories import Desk
from tests.oncall.schedules import THURSDAY, berlin, make_schedule, rules
from tests.snapshot import changes, snapshot

BERLIN = ZoneInfo("Europe/Berlin")
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)


def event(uid: str = "1", *lines: str, summary: str = "ana") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", f"SUMMARY:{summary}", *lines, "END:VEVENT"])


def calendar(*events: str, head: str = "VERSION:2.0") -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", head, *events, "END:VCALENDAR", ""])


def read(*events: str, head: str = "VERSION:2.0") -> Reading:
    return read_calendar(calendar(*events, head=head), BERLIN, START, END)


def told(reading: Reading) -> list[tuple[str, str]]:
    return [
        tuple(one.astimezone(BERLIN).strftime("%m-%d %H:%M%z") for one in (shift.start, shift.end))  # type: ignore[misc]
        for shift in reading.found
    ]


WEEKLY = ("DTSTART;TZID=Europe/Berlin:20260302T090000", "DTEND;TZID=Europe/Berlin:20260309T090000")


def test_a_weekly_event_keeps_its_wall_time_over_the_clock_change() -> None:
    found = told(read(event("1", *WEEKLY, "RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3")))
    assert found == [
        ("03-02 09:00+0100", "03-09 09:00+0100"),
        ("03-16 09:00+0100", "03-23 09:00+0100"),
        ("03-30 09:00+0200", "04-06 09:00+0200"),
    ]


@pytest.mark.parametrize("until", ["20260330T070000Z", "20260330T090000", "20260330"], ids=["utc", "wall", "date"])
def test_until_may_be_in_utc_by_the_wall_or_a_date(until: str) -> None:
    reading = read(event("1", *WEEKLY, f"RRULE:FREQ=WEEKLY;INTERVAL=2;UNTIL={until}"))
    assert [one[0] for one in told(reading)] == ["03-02 09:00+0100", "03-16 09:00+0100", "03-30 09:00+0200"]


def test_exdate_leaves_a_hole_and_a_changed_instance_stands_in_its_place() -> None:
    reading = read(
        event("1", *WEEKLY, "RRULE:FREQ=WEEKLY;COUNT=4", "EXDATE;TZID=Europe/Berlin:20260316T090000"),
        event("1", "RECURRENCE-ID;TZID=Europe/Berlin:20260309T090000", "DTSTART:20260310T090000Z",
              "DTEND:20260311T090000Z", summary="ben"),
        event("1", "RECURRENCE-ID;TZID=Europe/Berlin:20260323T090000", "STATUS:CANCELLED",
              "DTSTART;TZID=Europe/Berlin:20260323T090000"),
    )  # fmt: skip
    assert [(shift.names, start) for shift, (start, _end) in zip(reading.found, told(reading), strict=True)] == [
        (("ana",), "03-02 09:00+0100"),
        (("ben",), "03-10 10:00+0100"),
    ]
    assert reading.left_out == []


def test_all_day_events_floating_times_durations_and_added_dates() -> None:
    reading = read(
        event("1", "DTSTART;VALUE=DATE:20260328", "DTEND;VALUE=DATE:20260330"),
        event("2", "DTSTART:20260310T090000", "DURATION:PT12H"),
        event("3", "DTSTART:20260401T070000Z", "DTEND:20260401T080000Z", "RDATE:20260402T070000Z"),
        event("4", "DTSTART;VALUE=DATE:20260415"),
        head="X-WR-TIMEZONE:Europe/Berlin",
    )
    assert told(reading) == [
        ("03-10 09:00+0100", "03-10 21:00+0100"),
        ("03-28 00:00+0100", "03-30 00:00+0200"),
        ("04-01 09:00+0200", "04-01 10:00+0200"),
        ("04-02 09:00+0200", "04-02 10:00+0200"),
        ("04-15 00:00+0200", "04-16 00:00+0200"),
    ]


def test_the_invited_address_goes_before_the_title() -> None:
    found = read(
        event("1", *WEEKLY, "ATTENDEE;PARTSTAT=DECLINED:mailto:no@x.example", "ATTENDEE;CN=B:MAILTO:Ben@X.example")
    ).found
    assert found[0].names == ("ben@x.example", "ana")


@pytest.mark.parametrize(
    ("lines", "code", "detail"),
    [
        ((*WEEKLY, "STATUS:CANCELLED"), "cancelled", "it is cancelled"),
        (("DTSTART:rubbish",), "not_readable", "DTSTART cannot be read"),
        (("SEQUENCE:1",), "not_readable", "it has no DTSTART"),
        (("DTSTART:20260302T090000Z", "DTEND:20260302T080000Z"), "not_readable", "end is not after its start"),
        (("DTSTART:20260302T090000Z",), "not_readable", "end is not after its start"),
        (("DTSTART:20260302T090000Z", "DTEND:20280302T090000Z"), "not_readable", "longer than a year"),
        (("DTSTART;TZID=Nowhere/Zone:20260302T090000", "DURATION:PT1H"), "not_readable", "Nowhere/Zone is not known"),
        ((*WEEKLY, "RRULE:FREQ=SECONDLY"), "not_readable", "repeats SECONDLY"),
        ((*WEEKLY, "RRULE:FREQ=WEEKLY", "RRULE:FREQ=DAILY"), "not_readable", "several RRULEs"),
        ((*WEEKLY, "RRULE:FREQ=WEEKLY;BYSETPOS=1;BYDAY=MO"), "not_readable", "BYSETPOS"),
        (("DTSTART:00010302T090000Z", "DURATION:PT1H"), "not_readable", "outside the years"),
        (("DTSTART:99990302T090000Z", "DURATION:PT1H"), "not_readable", "outside the years"),
    ],
    ids=range(12),
)
def test_an_event_that_becomes_no_shift_is_named_with_its_reason(
    lines: tuple[str, ...], code: str, detail: str
) -> None:
    reading = read(event("bad", *lines, summary="Bad one"), event("good", "DTSTART:20260310T090000Z", "DURATION:PT1H"))
    assert [(one.what, one.code) for one in reading.left_out] == [("Bad one", code)]
    assert detail in reading.left_out[0].detail
    assert len(reading.found) == 1


def test_of_two_with_one_uid_the_later_edition_counts_and_the_other_is_named() -> None:
    newer = event("1", "SEQUENCE:2", "DTSTART:20260310T090000Z", "DURATION:PT1H", summary="new")
    older = event("1", "SEQUENCE:1", "DTSTART:20260311T090000Z", "DURATION:PT1H", summary="old")
    for order in ((newer, older), (older, newer)):
        reading = read(*order)
        assert [one.names for one in reading.found] == [("new",)]
        assert [(one.what, one.code) for one in reading.left_out] == [("old", "duplicate")]


_ALWAYS = event("1", "DTSTART:20260302T090000Z", "DURATION:PT1H")
HOSTILE: dict[str, tuple[str, str]] = {
    "empty": ("", "not_a_calendar"),
    "prose": ("Dear all, Ana is on call.", "not_a_calendar"),
    "html": ("<html><body>Sign in</body></html>", "not_a_calendar"),
    "no event": (calendar(), "no_events"),
    "only a todo": (calendar("BEGIN:VTODO\r\nUID:1\r\nEND:VTODO"), "no_events"),
    "not closed": (calendar(_ALWAYS).replace("END:VCALENDAR", ""), "not_a_calendar"),
    "deep": ("BEGIN:VCALENDAR\r\n" + "BEGIN:VEVENT\r\n" * 20_000, "too_deep"),
    "large": (calendar(_ALWAYS) + "X" * 1_048_576, "too_large"),
    "many bytes": (calendar(_ALWAYS) + "ü" * 300_000, "too_large"),
    "many events": (calendar(*[event(str(n), "DTSTART:20260302T090000Z") for n in range(2001)]), "too_many"),
    "many shifts": (
        calendar(*[event(str(n), "DTSTART:20260302T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY") for n in range(50)]),
        "too_many",
    ),
    "long counts": (
        calendar(*[event(str(n), "DTSTART:19900302T090000Z", "DURATION:PT1H",
                         "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=9") for n in range(50)]),
        "too_many",
    ),
    "nul": (calendar(_ALWAYS).replace("VERSION", "\x00"), "not_a_calendar"),
    "one long line": ("BEGIN:VCALENDAR\r\n" + "X-A;" * 100_000 + ":x\r\nEND:VCALENDAR", "not_a_calendar"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_as_a_whole_and_soon(name: str) -> None:
    text, code = HOSTILE[name]
    with pytest.raises(Invalid) as caught:
        read_calendar(text, BERLIN, START, END)
    assert [(one.pointer, one.code) for one in caught.value.problems] == [("/calendar", code)]


def test_an_upload_is_utf8_and_of_some_size() -> None:
    assert decode("\ufeffBEGIN".encode()) == "BEGIN"
    for content, code in ((b"\xff\xfe\x00", "not_utf8"), (b"x" * 1_048_576, "too_large")):
        with pytest.raises(Invalid) as caught:
            decode(content)
        assert caught.value.problems[0].code == code


# --- Into a schedule -------------------------------------------------------------------------------------------------


def bring(desk: Desk, schedule: OnCallSchedule, text: str, *, by: str = "manager", apply: bool = True) -> Review:
    with clock.at(THURSDAY):
        return commands.import_calendar(actor=desk.actor(by), schedule_id=schedule.pk, text=text, apply=apply)


def names(desk: Desk, schedule: OnCallSchedule, at: datetime) -> list[str]:
    with desk.inside():
        return [person.name for person in on_call(schedule.pk, at)]


HOUR = timedelta(hours=1)
HR = event("hr", "DTSTART:20260306T090000Z", "DURATION:PT4H", "ATTENDEE:mailto:HR@acme.example", summary="x")
OWNER = event("owner", "DTSTART:20260307T090000Z", "DURATION:PT4H", summary="owner of acme")
FRIDAY = datetime(2026, 3, 6, 10, tzinfo=UTC)


@pytest.mark.django_db
def test_a_calendar_is_reviewed_then_applied_and_its_next_edition_replaces_it(
    acme: Desk, schedule: OnCallSchedule
) -> None:
    text = calendar(HR, OWNER, event("who", "DTSTART:20260308T090000Z", "DURATION:PT4H", summary="Zoë Unknown"))
    before = snapshot(acme)
    review = bring(acme, schedule, text, apply=False)
    assert changes(before, snapshot(acme)) == []
    assert [one.person.name for one in review.added] == ["hr of acme", "owner of acme"]
    assert [(one.what, one.code) for one in review.left_out] == [("Zoë Unknown", "unknown_person")]
    assert bring(acme, schedule, text).applied
    assert names(acme, schedule, FRIDAY) == ["hr of acme"]
    assert names(acme, schedule, FRIDAY + 5 * HOUR) == ["agent of acme"]
    again = bring(acme, schedule, text)
    assert (len(again.added), len(again.removed), len(again.kept)) == (0, 0, 2)
    # The next edition: hr later, the owner gone.
    moved = bring(acme, schedule, calendar(HR.replace("T090000Z", "T110000Z")))
    assert (len(moved.added), len(moved.removed), len(moved.kept)) == (1, 2, 0)
    assert names(acme, schedule, FRIDAY) == ["agent of acme"]
    assert names(acme, schedule, FRIDAY + 2 * HOUR) == ["hr of acme"]
    # What somebody wrote by hand lies above, whenever it was written.
    with clock.at(THURSDAY):
        commands.add_override(
            actor=acme.actor("admin"), schedule_id=schedule.pk, person_id=None,
            starts_at=FRIDAY + 2 * HOUR, ends_at=FRIDAY + 3 * HOUR,
        )  # fmt: skip
    bring(acme, schedule, calendar(HR))
    assert names(acme, schedule, FRIDAY + 2 * HOUR) == []
    with acme.inside():
        last = Event.objects.filter(kind="oncall.calendar_imported").latest("id")
        assert OnCallOverride.objects.count() == 2
    assert {key: last.payload[key] for key in ("added", "removed", "kept", "left_out")} == {
        "added": 1, "removed": 1, "kept": 0, "left_out": 0,
    }  # fmt: skip


@pytest.mark.django_db
def test_an_import_that_is_refused_writes_nothing(acme: Desk, globex: Desk, schedule: OnCallSchedule) -> None:
    bring(acme, schedule, calendar(HR))
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["owner"].pk, active=False)
    before = snapshot(acme)
    for text in (HOSTILE["prose"][0], HOSTILE["many shifts"][0], calendar(OWNER)):
        with pytest.raises(Invalid):
            bring(acme, schedule, text)
    # Somebody of another organisation is nobody here.
    foreign = bring(acme, schedule, calendar(HR.replace("HR@acme", "hr@globex")), apply=False)
    assert [one.code for one in foreign.left_out] == ["unknown_person"]
    with pytest.raises(Forbidden):
        bring(acme, schedule, calendar(HR), by="agent")
    with pytest.raises(NotFound), clock.at(THURSDAY):
        commands.import_calendar(actor=globex.actor("manager"), schedule_id=schedule.pk, text=calendar(HR), apply=True)
    assert changes(before, snapshot(acme)) == []


# --- Out of it -------------------------------------------------------------------------------------------------------


def fetch(address: str, at: datetime = THURSDAY, **headers: str) -> Any:
    with clock.at(at):
        return Client().get(address, headers=headers)


def events_of(response: Any) -> dict[str, tuple[str, str, str]]:
    found = {}
    for one in Calendar.from_ical(response.content.decode()).walk("VEVENT"):
        times = [one[name].dt.astimezone(BERLIN).strftime("%m-%d %H:%M") for name in ("DTSTART", "DTEND")]
        assert str(one["UID"]) not in found
        found[str(one["UID"])] = (times[0], times[1], str(one["SUMMARY"]))
    return found


def feed(desk: Desk, who: str, schedule: OnCallSchedule | None) -> str:
    made, secret = commands.create_feed(actor=desk.actor(who), schedule_id=schedule.pk if schedule else None)
    assert bytes(made.secret_hash) != secret.encode()
    return f"{desk.prefix}/oncall/feeds/{secret}.ics"


@pytest.mark.django_db
def test_a_feed_shows_the_schedule_to_whoever_has_its_address(acme: Desk, schedule: OnCallSchedule) -> None:
    address = feed(acme, "agent", schedule)
    answer = fetch(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    assert answer["Cache-Control"] == "private, no-store"
    assert answer.content.startswith(b"BEGIN:VCALENDAR\r\n")
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    shown = events_of(answer)
    assert list(shown.values())[:3] == [
        ("03-02 09:00", "03-09 09:00", "agent of acme – Network"),
        ("03-09 09:00", "03-16 09:00", "manager of acme – Network"),
        ("03-16 09:00", "03-23 09:00", "owner of acme – Network"),
    ]
    # A day later it is the same events, by the same UIDs, and a bit more at the end.
    later = events_of(fetch(address, THURSDAY + timedelta(days=8)))
    common = shown.keys() & later.keys()
    assert len(common) >= 13
    assert all(shown[uid] == later[uid] for uid in common)
    # It is the address that opens: nobody's session, and no other page.
    assert Client().get(f"{acme.prefix}/oncall/").status_code == 302
    assert fetch(address, authorization="Bearer nonsense").status_code == 200


@pytest.mark.django_db
def test_a_gap_is_an_event_of_the_feed_and_my_shifts_are_mine_alone(acme: Desk) -> None:
    nights = {day: [["22:00", "06:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    made = make_schedule(
        acme, "Nights, & \\days;", layers=[rules(acme, "agent", "hr", restrictions=nights, unit="days")]
    )
    shown = [one[2] for one in events_of(fetch(feed(acme, "owner", made))).values()]
    assert "Nobody on call – Nights, & \\days;" in shown
    make_schedule(acme, "Weeks")
    mine = {one[2] for one in events_of(fetch(feed(acme, "agent", None))).values()}
    assert mine == {"On call – Nights, & \\days;", "On call – Weeks"}
    assert events_of(fetch(feed(acme, "admin", None))) == {}


@pytest.mark.django_db
def test_a_feed_ends_with_its_revocation_and_with_its_maker(acme: Desk, globex: Desk, schedule: OnCallSchedule) -> None:
    address = feed(acme, "agent", schedule)
    elsewhere = address.replace("/t/acme/", "/t/globex/")
    assert [fetch(one).status_code for one in (elsewhere, address[:-5] + ".ics", f"{acme.prefix}/oncall/feeds/x.ics")] == [
        404, 404, 404,
    ]  # fmt: skip
    # Signed in or not: what is no address is no address.
    browser = Client()
    browser.force_login(acme.users["agent"])
    assert browser.get(f"{acme.prefix}/oncall/feeds/x.ics").status_code == 404
    assert browser.post(address).status_code == 405
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, active=False)
    assert fetch(address).status_code == 404
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, active=True)
    assert fetch(address).status_code == 200
    with acme.inside():
        from itsm.oncall.models import OnCallFeed

        row = OnCallFeed.objects.get()
    with pytest.raises(Forbidden):
        commands.revoke_feed(actor=acme.actor("hr"), feed_id=row.pk)
    with pytest.raises(NotFound):
        commands.revoke_feed(actor=globex.actor("admin"), feed_id=row.pk)
    commands.revoke_feed(actor=acme.actor("agent"), feed_id=row.pk)
    commands.revoke_feed(actor=acme.actor("agent"), feed_id=row.pk)
    assert fetch(address).status_code == 404
    with acme.inside():
        assert Event.objects.filter(kind="oncall.feed_revoked").count() == 1


@pytest.mark.django_db
def test_a_feed_shows_what_its_maker_may_see_now(acme: Desk) -> None:
    secret = make_schedule(acme, "HR nights", team_id=acme.teams["hr"].pk)
    with pytest.raises(Invalid) as refused:
        commands.create_feed(actor=acme.actor("agent"), schedule_id=secret.pk)
    assert [(one.pointer, one.code) for one in refused.value.problems] == [("/schedule", "unknown_reference")]
    with pytest.raises(Forbidden):
        commands.create_feed(actor=acme.actor("requester"))
    address = feed(acme, "hr", secret)
    assert fetch(address).status_code == 200
    commands.update_schedule(actor=acme.actor("admin"), schedule_id=secret.pk, active=False)
    assert fetch(address).status_code == 404
    assert re.search(r"\.ics$", address)
    assert berlin("2026-03-05 13:00") == THURSDAY

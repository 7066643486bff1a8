"""Public holidays as proposals for a calendar. Data to look through and take over, never asked while clocks run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from itsm.kernel import clock
from itsm.kernel.errors import Invalid, Problems
from itsm.sla.calendar import Hours, Shift
from itsm.sla.calendar_file import read_hours, write_hours

#: Years at once, and how far from now they may lie.
YEARS_MAX, _REACH = 10, 20
_LISTED = 60
#: Days of the Islamic calendar, which begins its months when the moon is seen. Not every country's data says so.
_MOON = re.compile(
    r"\beid\b|fitr|adha|arafa|islamic|hijri|prophet|mawlid|maulid|ramadan|ashura|isra\b|hari raya|muharram"
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A date, what is celebrated, and the shifts that it would have: none, or the first half of the day's.

    ``estimated``: the date depends on the moon and may be another in the end. ``idle``: nobody works on that day anyway.
    ``taken``: the calendar has an exception on it already, which stays as it is unless somebody says otherwise.
    """

    day: date
    label: str
    shifts: tuple[Shift, ...]
    half: bool
    observed: bool
    estimated: bool
    idle: bool
    taken: bool

    @property
    def advised(self) -> bool:
        """Whether there is anything to gain, and nothing to doubt."""
        return not (self.idle or self.taken or self.estimated)


def countries() -> dict[str, tuple[str, ...]]:
    """Two-letter codes of the countries whose holidays are known, each with its subdivisions."""
    import holidays

    known: Mapping[str, Iterable[str]] = holidays.list_supported_countries(include_aliases=False)
    return {code: tuple(parts) for code, parts in sorted(known.items()) if len(code) == 2}


def propose(hours: Hours, country: str, subdivision: str, years: Sequence[int], language: str = "") -> list[Proposal]:
    """The holidays of a country, or of one of its parts, as exceptions to these hours, by date.

    Raises Invalid for a country or part that is not known, and for years that are none or too far away.
    """
    import holidays

    code, part = country.strip().upper(), subdivision.strip()
    problems = Problems()
    check_country(problems, code, part)
    _check_years(problems, years)
    problems.raise_if_any()
    known: Any = holidays.country_holidays(code, subdiv=part or None)
    categories = [("public", False), *([("half_day", True)] if "half_day" in known.supported_categories else [])]
    found: dict[date, Proposal] = {}
    for category, half in categories:
        wanted: dict[str, Any] = {"subdiv": part or None, "years": list(years), "categories": (category,)}
        named = holidays.country_holidays(code, **wanted, language=_spoken(known, language))
        # What a date is, is told by its name; in which language, the country decides.
        english = holidays.country_holidays(code, **wanted, language=_spoken(known, "en_US"))
        for day, label in named.items():
            if day not in found:
                found[day] = _proposal(hours, day, label, english.get(day, label), half=half)
    return [found[day] for day in sorted(found)]


def with_proposals(
    hours: Hours, labels: Mapping[str, str], chosen: Iterable[Proposal]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The JSON of these hours with the chosen days as exceptions, and the labels of all exceptions."""
    written, named = write_hours(hours), dict(labels)
    for proposal in chosen:
        day = proposal.day.isoformat()
        single = Hours(hours.zone, ((),) * 7, {proposal.day: proposal.shifts})
        written["exceptions"][day] = write_hours(single)["exceptions"][day]
        named[day] = proposal.label
    read_hours(written)
    return written, named


def check_country(problems: Problems, country: str, subdivision: str) -> None:
    """Add a problem for a country, and one for a part of it, whose holidays are not known."""
    code, part, known = country.strip().upper(), subdivision.strip(), countries()
    if code not in known:
        problems.add("country", "unknown_country", "country must be a two-letter code whose holidays are known: DE.")
    if part and part not in known.get(code, ()):
        parts = ", ".join(known.get(code, ())[:_LISTED]) or "none"
        problems.add("subdivision", "unknown_subdivision", f"Parts of {code[:2]} that are known: {parts}.", known=parts)


def _check_years(problems: Problems, years: Sequence[int]) -> None:
    now = clock.now().year
    if not 0 < len(years) <= YEARS_MAX or len(set(years)) != len(years):
        problems.add("years", "too_many", f"Name 1 to {YEARS_MAX} years.", limit=YEARS_MAX)
    elif not all(now - _REACH <= year <= now + _REACH for year in years):
        low, high = now - _REACH, now + _REACH
        problems.add("years", "out_of_range", f"Years are from {low} to {high}.", low=low, high=high)


def _spoken(known: Any, language: str) -> str | None:
    """The language in which the country's holidays are named: the wanted one, a kind of it, or the country's own."""
    spoken: dict[str, str] = {one.partition("_")[0]: one for one in known.supported_languages}
    own: str | None = known.default_language
    return spoken.get(language.partition("_")[0], own)


def _proposal(hours: Hours, day: date, label: str, english: str, *, half: bool) -> Proposal:
    usual = hours.weekly[day.weekday()]
    text = " / ".join(dict.fromkeys(part.strip() for part in label.split(";")))[:120]
    said = english.lower()
    by_the_moon = day.year > clock.now().year and _MOON.search(said) is not None
    return Proposal(
        day=day,
        label=text,
        shifts=_first_half(usual) if half else (),
        half=half,
        observed="observed" in said or "substitute" in said,
        estimated="estimated" in said or by_the_moon,
        idle=not usual,
        taken=day in hours.exceptions,
    )


def _first_half(shifts: Sequence[Shift]) -> tuple[Shift, ...]:
    """The shifts of a day until half of its work is done, to the minute."""
    left = sum(end - begin for begin, end in shifts) // 2
    found: list[Shift] = []
    for begin, end in shifts:
        if left <= 0:
            break
        found.append((begin, min(end, begin + left)))
        left -= end - begin
    return tuple(found)


def years_of(text: str) -> list[int]:
    """Years as people write them: ``2027``, ``2027,2028`` or ``2027-2029``. Raises Invalid."""
    found: list[int] = []
    try:
        for part in text.replace("–", "-").split(","):
            first, dash, last = part.strip().partition("-")
            low, high = int(first), int(last) if dash else int(first)
            if not (first.strip().isascii() and 1000 <= low <= high <= 9999 and high - low < 100):
                raise ValueError
            found.extend(range(low, high + 1))
    except ValueError:
        raise Invalid.one("years", "bad_years", "Write years as 2027, or 2027,2028, or 2027-2029.") from None
    return found

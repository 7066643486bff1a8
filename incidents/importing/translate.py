"""What the rows of a case say in our words: states, people, times, and what changed from row to row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from incidents.flow import FLOW, IncidentState
from incidents.importing.cases import RawCase
from incidents.importing.mapping import ANY_OTHER, StateMeaning
from incidents.importing.reader import Fault, Source
from itsm.kernel.texts import BODY_MAX, TITLE_MAX
from itsm.tickets.priority import DEFAULT_MATRIX

#: Fields whose changes an event records, in the order of a row's compared cells (after the state).
TRACKED: Final = (
    "requester",
    "assignee",
    "team",
    "category",
    "subcategory",
    "impact",
    "urgency",
    "priority",
    "channel",
)
_NAME_MAX: Final = {"team": 120, "category": 120, "subcategory": 120}
_COUNT_MAX: Final = 32_767
_CATEGORY: Final = {code: state.category.value for code, state in FLOW.states.items()}
_ENDED: Final = frozenset(code for code, category in _CATEGORY.items() if category in {"done", "closed", "canceled"})
_ON_HOLD: Final = IncidentState.ON_HOLD.value


class Refused(ValueError):
    """A case cannot be imported, because of what stands in ``line``."""

    def __init__(self, line: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.line, self.fault = line, Fault(code, reason)


class Step(NamedTuple):
    """One row: when, by whom, the state after it (ours and theirs), and the pairs [old, new] of what else changed."""

    at: datetime
    by: str | None
    state: int
    hold_reason: str
    source_state: str
    changes: dict[str, tuple[Any, Any]]
    kept: dict[str, str]


@dataclass(slots=True)
class Case:
    """An incident as another system recorded it. ``now`` holds the values of its last row."""

    number: str
    line: int
    digest: bytes
    steps: list[Step]
    opened_at: datetime
    title: str
    now: dict[str, Any]
    description: str = ""
    close_notes: str = ""
    close_code: str = ""
    opened_by: str | None = None
    resolved_by: str | None = None
    closed_by: str | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    reopen_count: int = 0
    reassignment_count: int = 0
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether its last known state is one in which somebody works on it."""
        return self.steps[-1].state not in _ENDED


class Translator:
    """Turns raw cases into cases. Remembers dates and names that it has seen, because logs repeat them."""

    def __init__(self, source: Source) -> None:
        self.mapping = source.mapping
        self._at = {meaning: source.index[column] for meaning, column in source.mapping.columns.items()}
        self._compared = [self._at.get(name) for name in TRACKED]
        self._kept = [(name, source.index[column]) for name, column in source.mapping.keep.items()]
        self._dates: dict[str, datetime] = {}
        self._states: dict[str, tuple[str, StateMeaning]] = {}
        self._names: dict[str, str | None] = {}

    def case(self, raw: RawCase) -> Case:
        """The case that these rows tell. Raises Refused."""
        steps: list[Step] = []
        values: dict[str, Any] = dict.fromkeys(TRACKED)
        before: list[str | None] | None = None
        kept_before: dict[str, str] = {}
        beside_before: list[str] = []
        state, reason = IncidentState.NEW.value, ""
        digest = hashlib.sha256()
        for row in raw.rows:
            line, cells = row.line, row.cells
            digest.update("\x1f".join(cells).encode("utf-8", "surrogatepass") + b"\x1e")
            compared = [None if position is None else cells[position] for position in self._compared]
            changes: dict[str, tuple[Any, Any]] = {}
            if compared != before:
                changes = self._changes(line, compared, before, values)
                before = compared
            theirs, state, reason_now = self._state(line, cells, state, reason)
            if reason_now != reason:
                changes["hold_reason"] = (reason, reason_now)
                reason = reason_now
            kept: dict[str, str] = {}
            beside = [cells[position] for _, position in self._kept]
            if beside != beside_before:
                beside_before = beside
                for (name, _), cell in zip(self._kept, beside, strict=True):
                    text = cell.strip()
                    if text not in self.mapping.missing and kept_before.get(name) != text:
                        kept[name] = kept_before[name] = text[:200]
            at = self._date(line, cells, "changed_at")
            if at is None:
                raise Refused(line, "no_date", f"{self.mapping.columns['changed_at']} is missing.")
            steps.append(Step(at, self._name(line, cells, "changed_by"), state, reason, theirs, changes, kept))
        return self._whole(raw, steps, values, digest.digest())

    def _changes(
        self, line: int, compared: list[str | None], before: list[str | None] | None, values: dict[str, Any]
    ) -> dict[str, tuple[Any, Any]]:
        """Bring ``values`` up to date with a row; answers the pairs of those that really differ."""
        changes: dict[str, tuple[Any, Any]] = {}
        for position, name in enumerate(TRACKED):
            text = compared[position]
            if before is not None and text == before[position]:
                continue
            new: Any
            if name in {"impact", "urgency", "priority"}:
                new = self._level(line, name, text)
            elif name == "channel":
                new = self._word(line, "channels", "channel", text) if text is not None else "import"
            else:
                new = self._clean(line, name, text)
            if new != values[name]:
                changes[name] = (values[name], new)
                values[name] = new
        if values["priority"] is None:
            values["priority"] = DEFAULT_MATRIX[values["impact"], values["urgency"]]
        return changes

    def _state(self, line: int, cells: list[str], before: int, reason: str) -> tuple[str, int, str]:
        """Their word, our state and the reason to hold after a row."""
        cell = cells[self._at["state"]]
        known = self._states.get(cell)
        if known is None:
            known = self._states[cell] = self._meaning(line, cell.strip())
        theirs, meaning = known
        if meaning.code is None:
            return theirs, before, reason
        if meaning.code != _ON_HOLD or meaning.hold_reason:
            return theirs, meaning.code, meaning.hold_reason
        said = self._cell(cells, "hold_reason")
        return theirs, meaning.code, self._word(line, "hold_reasons", "hold_reason", said) if said else ""

    def _meaning(self, line: int, theirs: str) -> tuple[str, StateMeaning]:
        meaning = self.mapping.states.get(theirs)
        if meaning is None:
            known = ", ".join(self.mapping.states)
            raise Refused(
                line, "unknown_state", f"the state {theirs[:80]!r} is not in the mapping, which knows {known}."
            )
        return theirs, meaning

    def _whole(self, raw: RawCase, steps: list[Step], values: dict[str, Any], digest: bytes) -> Case:
        line, cells = raw.rows[-1].line, raw.rows[-1].cells
        category = _CATEGORY[steps[-1].state]
        opened_at = self._date(raw.rows[0].line, raw.rows[0].cells, "opened_at") or steps[0].at
        case = Case(raw.number, raw.rows[0].line, digest, steps, opened_at, self._title(cells), values)
        case.texts["title"] = case.title if "title" in self.mapping.columns else ""
        case.description = case.texts["description"] = self._text(line, cells, "description")
        case.opened_by = self._name(line, cells, "opened_by")
        # How and when it ended stands on every row of some logs, from the first one on: it is taken only from a case
        # that has ended, and never into an earlier event.
        if steps[-1].state in _ENDED:
            case.resolved_at = self._date(line, cells, "resolved_at")
            case.resolved_by = self._name(line, cells, "resolved_by")
            code = self._cell(cells, "close_code")
            case.close_code = self._word(line, "close_codes", "close_code", code) if code else ""
            case.close_notes = case.texts["close_notes"] = self._text(line, cells, "close_notes")
            if code:
                steps[-1].kept["close_code"] = code[:200]
        if category in {"closed", "canceled"}:
            case.closed_at = self._date(line, cells, "closed_at") or steps[-1].at
            case.closed_by = self._name(line, cells, "closed_by")
        self._count(case, line, cells)
        return case

    def _count(self, case: Case, line: int, cells: list[str]) -> None:
        ended = [step.state in _ENDED for step in case.steps]
        reopened = sum(was and not now for was, now in pairwise(ended))
        moved = sum(None not in step.changes["team"] for step in case.steps if "team" in step.changes)
        case.reopen_count = self._whole_number(line, cells, "reopen_count", reopened)
        case.reassignment_count = self._whole_number(line, cells, "reassignment_count", moved)

    def _whole_number(self, line: int, cells: list[str], meaning: str, otherwise: int) -> int:
        text = self._cell(cells, meaning)
        if text is None:
            return min(otherwise, _COUNT_MAX)
        if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= _COUNT_MAX):
            raise Refused(
                line, "bad_number", f"{self.mapping.columns[meaning]} is {text[:40]!r}, not 0 to {_COUNT_MAX}."
            )
        return int(text)

    def _title(self, cells: list[str]) -> str:
        text = self._cell(cells, "title")
        if text is None and self.mapping.title:
            named = {name: self._cell(cells, name) or "?" for name in self.mapping.title_fields}
            text = self.mapping.title.format_map(named)
        words = " ".join("".join(char if char.isprintable() else " " for char in text or "").split())
        return words[:TITLE_MAX] or self._cell(cells, "number") or "?"

    def _text(self, line: int, cells: list[str], meaning: str) -> str:
        text = self._cell(cells, meaning) or ""
        if len(text) > BODY_MAX:
            raise Refused(
                line, "too_long", f"{self.mapping.columns[meaning]} has {len(text)} characters; {BODY_MAX} fit."
            )
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _cell(self, cells: Sequence[str], meaning: str) -> str | None:
        position = self._at.get(meaning)
        if position is None:
            return None
        text = cells[position].strip()
        return None if text in self.mapping.missing else text

    def _name(self, line: int, cells: list[str], meaning: str) -> str | None:
        position = self._at.get(meaning)
        return None if position is None else self._clean(line, meaning, cells[position])

    def _clean(self, line: int, meaning: str, text: str | None) -> str | None:
        """A name with single blanks; logs pad them (``Opened by  8``)."""
        if text is None:
            return None
        try:
            return self._names[text]
        except KeyError:
            pass
        clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        if len(clean) > _NAME_MAX.get(meaning, 150):
            raise Refused(line, "too_long", f"{self.mapping.columns[meaning]} has {len(clean)} characters.")
        name = None if clean in self.mapping.missing or not clean else clean
        if len(self._names) < 200_000 and len(clean) <= 120:
            self._names[text] = name
        return name

    def _date(self, line: int, cells: list[str], meaning: str) -> datetime | None:
        position = self._at.get(meaning)
        if position is None:
            return None
        text = cells[position]
        found = self._dates.get(text)
        if found is None:
            text = text.strip()
            if text in self.mapping.missing:
                return None
            found = self._parse(line, meaning, text)
            if len(self._dates) > 100_000:
                self._dates.clear()
            self._dates[text] = found
        return found

    def _parse(self, line: int, meaning: str, text: str) -> datetime:
        for pattern in self.mapping.dates:
            try:
                naive = datetime.fromisoformat(text) if pattern == "iso" else datetime.strptime(text, pattern)  # noqa: DTZ007
                aware = naive if naive.tzinfo else naive.replace(tzinfo=self.mapping.zone)
                instant = aware.astimezone(UTC)
            except (ValueError, OverflowError):
                continue
            if 1970 <= instant.year <= 2200:
                return instant
        forms = " or ".join(self.mapping.dates)
        raise Refused(
            line, "bad_date", f"{self.mapping.columns[meaning]} is {text[:40]!r}, which is no date like {forms}."
        )

    def _level(self, line: int, meaning: str, text: str | None) -> int | None:
        text = text.strip() if text is not None else None
        if text is None or text in self.mapping.missing:
            return None if meaning == "priority" else 3
        table = self.mapping.levels.get(meaning)
        most = 5 if meaning == "priority" else 3
        if table is not None:
            if text in table:
                return table[text]
        elif text[:1] in "12345"[:most] and not text[1:2].isdigit():
            return int(text[0])
        raise Refused(line, "bad_level", f"{self.mapping.columns[meaning]} is {text[:40]!r}, not 1 to {most}.")

    def _word(self, line: int, key: str, meaning: str, text: str | None) -> str:
        table: Any = getattr(self.mapping, key)
        word = (text or "").strip()
        if word in self.mapping.missing:
            return "import" if key == "channels" else ""
        found = table.get(word, table.get(ANY_OTHER))
        if found is None:
            known = ", ".join(table) or "none"
            raise Refused(
                line, f"unknown_{meaning}", f"{meaning} {word[:80]!r} is not in [{key}], which knows {known}."
            )
        return str(found)

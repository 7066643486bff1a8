"""Refusals in the reader's language. Commands word them in English, for programs and the log; pages word them by their code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from itsm.kernel.errors import DomainError, FieldProblem, Forbidden, IllegalTransition, Invalid
from itsm.tickets.kinds import state_label, states_called
from itsm.tickets.models import StateCategory

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Said in every language, English too: the command's own sentence names its inputs as programs call them.
_COMMON: dict[str, str] = {
    "required": gettext_noop("Please fill this in."),
    "taken": gettext_noop("This is taken already. Choose another one."),
    "unknown_reference": gettext_noop("There is none with this name, or it is not in use."),
    "control_character": gettext_noop("One line only, without control characters."),
    "not_an_address": gettext_noop("Write an address like name@example.org."),
    "itself": gettext_noop("A ticket cannot point to itself."),
    "not_open": gettext_noop("This ticket is not open."),
}
#: Said where the reader's language has them. In English the command's own sentence says more: which value, which limit.
_OTHER: dict[str, str] = {
    "account_exists": gettext_noop(
        "This address has an account on this installation. Its operator can add it: manage.py add_member."
    ),
    "bad_code": gettext_noop("This is a code of small letters, such as incident or email."),
    "bad_cursor": gettext_noop("This place in the list is damaged or of another list. Start from the first page."),
    "bad_date": gettext_noop("Write a date as 2026-12-25."),
    "bad_pause": gettext_noop("Write a pause as FROM/TO."),
    "bad_target": gettext_noop("Write a target as 4h, 1h30m, 90s, or 2bd for business days."),
    "bad_threshold": gettext_noop(
        "A threshold is a share of the target such as 75%, or a time before it such as -30m."
    ),
    "bad_time": gettext_noop("Write a whole minute such as 09:00."),
    "bad_years": gettext_noop("Write years as 2027, or 2027,2028, or 2027-2029."),
    "before_today": gettext_noop("What has passed was counted by the hours of then. Name today or later."),
    "both": gettext_noop("Say either always or weekly hours, not both."),
    "cause_depth_exceeded": gettext_noop("Too many automatic changes followed one another. They were stopped."),
    "disabled": gettext_noop("This person is disabled. Enable the person first."),
    "empty": gettext_noop("This is empty."),
    "in_the_past": gettext_noop("This must be in the future."),
    "in_use": gettext_noop("This is in use. Give its users another one first."),
    "last_admin": gettext_noop("This is the last tenant admin. Make somebody else one first."),
    "loop": gettext_noop("This would make it its own ancestor."),
    "never": gettext_noop("With these hours nobody would ever be on call. Leave them out for always."),
    "never_reached": gettext_noop("Policies that are asked before take every ticket that this means."),
    "never_true": gettext_noop("No ticket meets these conditions together."),
    "no_events": gettext_noop("This calendar holds no event."),
    "no_length": gettext_noop("It begins when it ends."),
    "not_a_boolean": gettext_noop("This is true or false."),
    "not_a_calendar": gettext_noop(
        "This is no iCalendar text. It begins with BEGIN:VCALENDAR and ends with END:VCALENDAR."
    ),
    "not_a_date": gettext_noop("Write a date such as 2026-01-31."),
    "not_a_list": gettext_noop("This must be a list, and not too long a one."),
    "not_a_member": gettext_noop("Only members of a restricted team may have to do with its tickets."),
    "not_a_shift": gettext_noop("A shift is a pair of times, such as 09:00 and 17:00."),
    "not_a_switch": gettext_noop("This is on or off."),
    "not_all": gettext_noop("Name each policy of the metric once."),
    "not_allowed": gettext_noop(
        "Webhooks may not be sent to this address: it must be https, public, and without user, password and #."
    ),
    "not_an_agent": gettext_noop("Tickets can be assigned to agents only, and led by agents only."),
    "not_major": gettext_noop(
        "This is a major incident and the other one is not. Declare that one, or stand this one down first."
    ),
    "not_an_id": gettext_noop("This is none of the values that can be chosen here."),
    "not_an_instant": gettext_noop("Write an instant with its zone, such as 2026-01-31T09:00:00Z."),
    "not_an_object": gettext_noop("This must be a JSON object."),
    "not_on_the_rota": gettext_noop("Hand your shift over to somebody else who takes turns here."),
    "not_text": gettext_noop("This must be text."),
    "not_understood": gettext_noop("This is not understood. Write: mon-fri 17:00-09:00"),
    "not_unicode": gettext_noop("This contains half of a surrogate pair, which is no text."),
    "not_utf8": gettext_noop("This is not UTF-8. Export it as UTF-8."),
    "nothing_to_import": gettext_noop("No event of this calendar can become a shift."),
    "nul_character": gettext_noop("This contains a NUL character. Remove it."),
    "only_with_activation": gettext_noop("Open clocks are asked when a policy is put in use again."),
    "other_kind": gettext_noop("Parent and child must be tickets of the same kind."),
    "out_of_range": gettext_noop("This number is too small or too large."),
    "overlap": gettext_noop("Shifts must not overlap."),
    "process_mismatch": gettext_noop("Managers and owners of a process name the process; other roles do not."),
    "rate_limited": gettext_noop("This was too fast. Wait a moment."),
    "reversed": gettext_noop("The end must be after the start."),
    "same_time": gettext_noop("Quiet hours must end at another time than they begin."),
    "single_brace": gettext_noop("A brace stands alone. Write it twice."),
    "stale_version": gettext_noop("Somebody changed this meanwhile. Read it again and repeat your change."),
    "team_mismatch": gettext_noop("Only the agent role may be granted for a team."),
    "too_deep": gettext_noop("This is nested too deeply."),
    "too_far": gettext_noop("Hours are planned at most five years ahead."),
    "too_large": gettext_noop("This is too large."),
    "too_long": gettext_noop("This text is too long."),
    "too_many": gettext_noop("These are too many."),
    "type_refused": gettext_noop(
        "Files of this type are not accepted. Put it into an archive; programs are never accepted."
    ),
    "unknown_audience": gettext_noop("Choose who may read this: everybody here, or the desk alone."),
    "unknown_channel": gettext_noop("There is no such channel."),
    "unknown_code": gettext_noop("Choose one of the codes."),
    "unknown_condition": gettext_noop("There is no such condition."),
    "unknown_country": gettext_noop("Choose a country by its two letters, such as DE."),
    "unknown_date": gettext_noop("Only dates that are exceptions have a name."),
    "unknown_day": gettext_noop("Days are mon, tue, wed, thu, fri, sat and sun."),
    "unknown_key": gettext_noop("There is no such message."),
    "unknown_kind": gettext_noop("This service desk has no such kind of ticket, or no numbers for it."),
    "unknown_language": gettext_noop("Choose one of the languages."),
    "unknown_link": gettext_noop("Choose one of the kinds of link."),
    "unknown_member": gettext_noop("There is no such member."),
    "unknown_metric": gettext_noop("Choose what is promised: response, resolution, update or OLA."),
    "unknown_parameter": gettext_noop("There is no such filter. Remove it from the address."),
    "unknown_placeholder": gettext_noop("There is no such placeholder. The preview of a message lists them."),
    "unknown_process": gettext_noop("Name the key of a kind of ticket, such as incident."),
    "unknown_reason": gettext_noop("Choose one of the reasons."),
    "unknown_role": gettext_noop("Choose one of the roles."),
    "unknown_scope": gettext_noop("Choose from the rights that a token can have."),
    "unknown_subdivision": gettext_noop("This part of the country is not known."),
    "unknown_topic": gettext_noop("There is no such topic."),
    "unknown_value": gettext_noop("This is none of the values that can be chosen here."),
    "unknown_zone": gettext_noop("Choose a time zone such as Europe/Berlin."),
    "yourself": gettext_noop("You cannot do this to yourself. Ask another admin."),
    "already_running": gettext_noop("This policy runs for this ticket already."),
    "bad_span": gettext_noop("Write a time as 15m, 1h30m or 45s, at most 31 days."),
    "bad_step": gettext_noop("A step is an object with “do” and perhaps “after” and “if”."),
    "bad_trigger": gettext_noop("A trigger has either “sla” or “event”, and perhaps “when”."),
    "bad_window": gettext_noop("Write two different times of the day, such as 08:30 and 17:30."),
    "policy_loop": gettext_noop("These policies would start each other in a circle."),
    "unknown_action": gettext_noop("There is no such action."),
    "unknown_event": gettext_noop("There is no such kind of event of tickets."),
    "zone_for_good": gettext_noop("The zone of a calendar is for good. Make another calendar for another zone."),
}
#: The same for those that name values, where the command handed them over.
_EXACT: dict[str, str] = {
    "in_use": gettext_noop("It is used by %(users)s. Give them another one first."),
    "unknown_subdivision": gettext_noop("Parts that are known: %(known)s."),
    "out_of_range": gettext_noop("Give a number from %(low)s to %(high)s."),
    "too_large": gettext_noop("The file has %(size)s bytes; %(limit)s fit."),
    "too_long": gettext_noop("This text has %(length)s characters; %(limit)s fit."),
    "too_many": gettext_noop("At most %(limit)s are possible here."),
    "unknown_value": gettext_noop("Possible here: %(known)s."),
}
_ENDED = gettext_noop("This ticket has ended and cannot be changed. Open a follow-up instead.")
#: What pages call the verbs, and what they say of one that a state refuses for a reason of its own. Filled by practices.
_VERBS: dict[str, _StrOrPromise] = {}
_REFUSED: dict[tuple[str, str], str] = {}


def register(verbs: Mapping[str, _StrOrPromise], refused: Mapping[tuple[str, str], str]) -> None:
    """Make known what a practice's pages call its verbs, and by (verb, state key) why one may be refused all the same.

    Those reasons are texts of the catalogue (``gettext_noop``).
    """
    _VERBS.update(verbs)
    _REFUSED.update(refused)


def codes() -> frozenset[str]:
    """The codes of refusals that have a sentence here."""
    return frozenset(_COMMON) | frozenset(_OTHER)


def problem_text(problem: FieldProblem) -> str:
    """What is wrong with one input, for whoever reads the page."""
    if problem.values and problem.code in _EXACT:
        exact = _EXACT[problem.code]
        return problem.detail if _(exact) == exact else _(exact) % problem.values
    return _worded(problem.code, problem.detail)


def refusal_text(error: DomainError) -> str:
    """A whole refusal, for whoever reads the page."""
    if isinstance(error, Invalid):
        return " ".join(problem_text(problem) for problem in error.problems)
    if isinstance(error, IllegalTransition):
        return _transition(error)
    if isinstance(error, Forbidden) and error.detail == str(Forbidden(error.permission)):
        return _("You need the permission %(permission)s.") % {"permission": error.permission}
    return _worded(error.code, error.detail)


def _worded(code: str, detail: str) -> str:
    if code in _COMMON:
        return _(_COMMON[code])
    return _translated(_OTHER[code], detail) if code in _OTHER else detail


def _translated(text: str, detail: str) -> str:
    sentence = _(text)
    # Unchanged: it is English that is read, or a language without a catalogue.
    return detail if sentence == text else sentence


def _transition(error: IllegalTransition) -> str:
    verb, state, allowed = (error.context[name] for name in ("verb", "state", "allowed"))
    if (verb, state) in _REFUSED:
        return _translated(_REFUSED[verb, state], error.detail)
    if state in (StateCategory.CLOSED, StateCategory.CANCELED) and not allowed:
        return _translated(_ENDED, error.detail)
    words = {
        "verb": _VERBS.get(verb, verb),
        "state": _state(state),
        "allowed": ", ".join(str(_VERBS.get(one, one)) for one in allowed) or _("nothing"),
    }
    return _("“%(verb)s” is not possible in the state “%(state)s”. Possible now: %(allowed)s.") % words


def _state(key: str) -> str:
    named = states_called(key)
    return state_label(*named[0]) if named else str(dict(StateCategory.choices).get(key, key))

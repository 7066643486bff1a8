"""The one family of errors that commands raise; every door (API, web, admin, tasks) translates it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one input field: where (a JSON pointer such as ``/impact``), which rule, and how to mend it.

    ``values`` are those that ``detail`` names (a limit, the choices), for doors that say it in other words or languages.
    """

    pointer: str
    code: str
    detail: str
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)


class DomainError(Exception):
    """A refusal. ``code`` is stable and machine-readable, ``detail`` is for people.

    ``recorded`` says whether the refusal itself becomes an event: refusals of right, flow and policy do, mistakes of
    shape do not.
    """

    code = "refused"
    recorded = False

    def __init__(self, detail: str, *, code: str | None = None, **context: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code
        #: ids and codes only (never free text): it is written into the refusal event.
        self.context: dict[str, Any] = context


class NotFound(DomainError):
    """Unknown, another tenant's, or not visible to the actor: deliberately the same answer for all three."""

    code = "not_found"

    def __init__(self, detail: str = "There is no such object, or you may not see it.", **context: Any) -> None:
        super().__init__(detail, **context)


class Forbidden(DomainError):
    """The actor sees the object and may not do this to it; ``permission`` names the missing right."""

    code = "forbidden"
    recorded = True

    def __init__(self, permission: str, detail: str = "", **context: Any) -> None:
        super().__init__(detail or f"You need the permission {permission}.", permission=permission, **context)
        self.permission = permission


class Conflict(DomainError):
    """The object has moved on since the actor read it; ``current`` is its version now."""

    code = "stale_version"

    def __init__(self, current: int, expected: int) -> None:
        super().__init__(
            f"You edited version {expected}, it is at version {current} now. Read it again and repeat your change.",
            current=current,
            expected=expected,
        )
        self.current = current


class IllegalTransition(DomainError):
    """The ticket's state does not allow this verb; ``allowed`` lists the verbs that it does allow."""

    code = "illegal_transition"
    recorded = True

    def __init__(self, verb: str, state: str, allowed: Sequence[str], *, detail: str = "", state_key: str = "") -> None:
        # ``state`` is the label that people read, ``state_key`` the word that programs and the log keep.
        allowed_text = ", ".join(allowed) or "none"
        super().__init__(
            detail or f"{verb} is not possible in state {state}. Possible now: {allowed_text}.",
            verb=verb,
            state=state_key or str(state),
            allowed=list(allowed),
        )


@dataclass(frozen=True, slots=True)
class Violation:
    """One policy that a change breaks: its key, its owner's name, why it exists and what would satisfy it."""

    policy: str
    owner: str
    reason: str
    remedy: str


class PolicyViolation(DomainError):
    """One or more enforced policies refuse the change."""

    code = "policy_violation"
    recorded = True

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(
            "; ".join(f"{v.policy}: {v.reason}" for v in violations), policies=[v.policy for v in violations]
        )
        self.violations = tuple(violations)


class Invalid(DomainError):
    """The input cannot be accepted; ``problems`` names each field and the remedy."""

    code = "invalid"

    def __init__(self, problems: Sequence[FieldProblem], detail: str = "The request has invalid fields.") -> None:
        super().__init__(detail)
        self.problems = tuple(problems)

    @classmethod
    def one(cls, field_name: str, code: str, detail: str, **values: Any) -> Invalid:
        """The common case: one field, one rule."""
        return cls([FieldProblem(f"/{field_name}", code, detail, values)], detail)


class TooManyCauses(DomainError):
    """A chain of automatic reactions reached the depth cap (8): it is stopped, recorded and alarmed."""

    code = "cause_depth_exceeded"
    recorded = True


@dataclass(slots=True)
class Problems:
    """Collects field problems so that a form shows all of them at once; ``raise_if_any`` ends the check."""

    found: list[FieldProblem] = field(default_factory=list)

    def add(self, field_name: str, code: str, detail: str, **values: Any) -> None:
        self.found.append(FieldProblem(f"/{field_name}", code, detail, values))

    def raise_if_any(self) -> None:
        if self.found:
            raise Invalid(self.found, "; ".join(p.detail for p in self.found))


def context_of(error: DomainError) -> dict[str, Any]:
    """What a refusal event stores about ``error``: ids and codes, no free text."""
    return {"code": error.code, **error.context}

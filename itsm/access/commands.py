"""People, roles, teams and tokens: who is who in a tenant, changed by commands like everything else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q

from itsm.access.actors import new_secret
from itsm.access.catalogue import GRANTABLE, PER_PROCESS, PER_TEAM, SCOPES, Role
from itsm.access.decide import authorize
from itsm.access.models import ApiToken, RoleGrant
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound, Problems
from itsm.kernel.texts import clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.tenancy.fetch import locked, refuse_taken
from itsm.tenancy.locale import check_language, check_time_zone
from itsm.tenancy.models import Membership, Organisation, Person, Team, User

#: The shape of a kind's key; which kinds there are is data of the rooms above.
_PROCESS = re.compile(r"[a-z][a-z0-9_]{0,39}")


def create_person(
    *, actor: Actor, name: str, email: str = "", organisation_id: UUID | None = None, source_key: str | None = None
) -> Person:
    """Add a person, with or without an address. A person becomes able to sign in by invite_user()."""
    problems = Problems()
    clean_name = clean_text(problems, "name", name, limit=200, required=True, line=True)
    email_key = _email_key(problems, email)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "person.manage")
        if email_key and Person.objects.filter(tenant_id=actor.tenant_id, email_key=email_key).exists():
            raise Invalid.one("email", "taken", "There is already a person with this address.")
        if organisation_id and not Organisation.objects.filter(pk=organisation_id, tenant_id=actor.tenant_id).exists():
            raise Invalid.one("organisation", "unknown_reference", "There is no organisation with this id.")
        person = Person(
            tenant_id=actor.tenant_id,
            name=clean_name,
            email_key=email_key or None,
            organisation_id=organisation_id,
            source_key=source_key,
        )
        work.add(person)
        work.emit("person.created", person=person.pk, organisation=organisation_id)
    return person


def update_person(
    *,
    actor: Actor,
    person_id: UUID,
    name: str | Unset = UNSET,
    language: str | Unset = UNSET,
    time_zone: str | Unset = UNSET,
    shortcuts: bool | Unset = UNSET,
    split_queue: bool | Unset = UNSET,
    organisation_id: UUID | None | Unset = UNSET,
) -> Person:
    """Change a person's name, organisation or preferences. Preferences (all but the first two) people change themselves."""
    problems = Problems()
    clean: dict[str, object] = {}
    if name is not UNSET:
        clean["name"] = clean_text(problems, "name", name, limit=200, required=True, line=True)
    if language is not UNSET:
        clean["language"] = language
        if language:
            check_language(problems, language)
    if time_zone is not UNSET:
        clean["time_zone"] = time_zone
        if time_zone:
            check_time_zone(problems, time_zone)
    if shortcuts is not UNSET:
        clean["shortcuts"] = shortcuts
    if split_queue is not UNSET:
        clean["split_queue"] = split_queue
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        if person_id != actor.person_id or name is not UNSET or organisation_id is not UNSET:
            authorize(actor, "person.manage")
        person = _person(person_id)
        if organisation_id is not UNSET:
            if organisation_id and not Organisation.objects.filter(pk=organisation_id).exists():
                raise Invalid.one("organisation", "unknown_reference", "There is no organisation with this id.")
            clean["organisation_id"] = organisation_id
        changes = {field: value for field, value in clean.items() if getattr(person, field) != value}
        if changes:
            for field, value in changes.items():
                setattr(person, field, value)
            work.changed(person, *changes)
            work.emit("person.changed", person=person.pk, fields=sorted(changes))
    return person


def invite_user(*, actor: Actor, person_id: UUID, user: User) -> Membership:
    """Let a user sign in as this person, for the first time or again. One person per user and tenant, and one user per person."""
    with unit_of_work(actor) as work:
        authorize(actor, "person.manage")
        person = _person(person_id)
        there = Membership.objects.select_for_update().filter(tenant_id=actor.tenant_id)
        membership: Membership | None = there.filter(user_id=user.pk, person_id=person.pk).first()
        if membership is not None and not membership.is_lasting:
            membership.is_active, membership.valid_until = True, None
            work.changed(membership, "is_active", "valid_until")
            work.emit("membership.resumed", person=person.pk, user=user.pk)
            return membership
        if there.filter(Q(user_id=user.pk) | Q(person_id=person.pk)).exists():
            raise Invalid.one("user", "taken", "This user or this person has a membership already.")
        membership = Membership(tenant_id=actor.tenant_id, user_id=user.pk, person_id=person.pk)
        work.add(membership)
        work.emit("membership.created", person=person.pk, user=user.pk)
    return membership


def end_membership(*, actor: Actor, person_id: UUID, at: datetime | None = None) -> Membership:
    """Let a person no longer sign in here, from now on or from ``at`` on; the tokens rest as well.

    Unlike a disabled person it stays a requester whom others may name. invite_user() undoes it. Raises Invalid for oneself,
    for the last lasting admin, for who cannot sign in anyway, and for an ``at`` that has passed.
    """
    with unit_of_work(actor) as work:
        authorize(actor, "person.manage")
        person = _person(person_id)
        if person.pk == actor.person_id:
            raise Invalid.one("person", "yourself", "You cannot end your own membership. Ask another admin.")
        if at is not None and at <= work.now:
            raise Invalid.one("at", "in_the_past", "The end must be in the future; without one it ends at once.")
        keep_a_lasting_admin("person", work.now, person_id=person.pk)
        mine = Membership.objects.select_for_update().filter(tenant_id=actor.tenant_id, person_id=person.pk)
        membership: Membership | None = mine.first()
        if membership is None or (not membership.is_active and at is not None):
            raise Invalid.one("person", "not_a_member", f"{person.name} cannot sign in. Invite the person first.")
        if membership.is_active and (at is None or membership.valid_until != at):
            membership.is_active, membership.valid_until = at is not None, at
            work.changed(membership, "is_active", "valid_until")
            work.emit("membership.ended", person=person.pk, user=membership.user_id, valid_until=at)
    return membership


def set_person_active(*, actor: Actor, person_id: UUID, active: bool) -> Person:
    """Disable a person (who can then neither sign in nor be assigned, and whose tokens rest) or enable it again."""
    with unit_of_work(actor) as work:
        authorize(actor, "person.manage")
        person = _person(person_id)
        if person.pk == actor.person_id and not active:
            raise Invalid.one("person", "yourself", "You cannot disable yourself.")
        if not active:
            keep_a_lasting_admin("person", work.now, person_id=person.pk)
        if person.is_active != active:
            person.is_active = active
            work.changed(person, "is_active")
            work.emit("person.enabled" if active else "person.disabled", person=person.pk)
    return person


def grant_role(
    *,
    actor: Actor,
    person_id: UUID,
    role: str,
    process: str | None = None,
    team_id: UUID | None = None,
    valid_until: datetime | None = None,
) -> RoleGrant:
    """Give a role. Manager and owner name their process; an agent may be a member of a team. Giving it twice is once."""
    _refuse_mismatch(role, process, team_id)
    with unit_of_work(actor) as work:
        authorize(actor, "grant.manage")
        if valid_until is not None and valid_until <= work.now:
            raise Invalid.one(
                "valid_until", "in_the_past", "valid_until must be in the future. To end a role, withdraw it."
            )
        person = _person(person_id)
        if team_id is not None and not Team.objects.filter(pk=team_id, is_active=True).exists():
            raise Invalid.one("team", "unknown_reference", "There is no active team with this id.")
        there = RoleGrant.objects.filter(
            person_id=person.pk,
            role=role,
            process=process or "",
            **({"team_id": team_id} if team_id else {"team_id__isnull": True}),
        ).first()
        if there is not None and there.valid_until == valid_until:
            return there  # type: ignore[no-any-return]
        if there is not None and role == Role.TENANT_ADMIN and valid_until is not None:
            keep_a_lasting_admin("valid_until", work.now, grant_id=there.pk)
        grant = there or RoleGrant(
            tenant_id=actor.tenant_id, person_id=person.pk, role=role, process=process or "", team_id=team_id
        )
        grant.valid_until = valid_until
        if there is None:
            work.add(grant)
        else:
            work.changed(grant, "valid_until")
        work.emit("grant.given", person=person.pk, role=role, process=process, team=team_id, valid_until=valid_until)
    return grant


def _refuse_mismatch(role: str, process: str | None, team_id: UUID | None) -> None:
    """Raise Invalid for a role that cannot be granted, or not for what it is to be granted for."""
    if role not in GRANTABLE:
        raise Invalid.one("role", "unknown_role", f"role must be one of {', '.join(GRANTABLE)}.")
    if (Role(role) in PER_PROCESS) != bool(process):
        raise Invalid.one(
            "process", "process_mismatch", "process_manager and process_owner name a process; other roles do not."
        )
    if process is not None and not _PROCESS.fullmatch(process):
        raise Invalid.one("process", "unknown_process", "process is the key of a kind of ticket, such as incident.")
    if team_id is not None and Role(role) not in PER_TEAM:
        raise Invalid.one("team", "team_mismatch", "Only the agent role may be granted for a team.")


def keep_a_lasting_admin(
    field: str, now: datetime, *, grant_id: UUID | None = None, person_id: UUID | None = None
) -> None:
    """Raise Invalid when nobody would be left who can give roles for good, without this grant or this person.

    A role or a membership with an end does not count: on the day it ends, nobody could give one.
    """
    lasting = RoleGrant.objects.valid(now).filter(role=Role.TENANT_ADMIN, valid_until__isnull=True)
    # All are locked, in one order, and looked at afterwards: two admins who end each other at once must not both succeed.
    list(lasting.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    members = Membership.objects.filter(is_active=True, valid_until__isnull=True).values("person_id")
    able = lasting.filter(person__is_active=True, person__erased_at__isnull=True, person_id__in=members)
    ends = able.filter(Q(pk=grant_id) | Q(person_id=person_id))
    if ends.exists() and not able.exclude(Q(pk=grant_id) | Q(person_id=person_id)).exists():
        raise Invalid.one(field, "last_admin", "This is the last tenant admin. Make somebody else one first.")


def withdraw_role(*, actor: Actor, grant_id: UUID) -> None:
    """Take a role away. The last tenant admin keeps it: somebody has to be able to give it back."""
    with unit_of_work(actor) as work:
        authorize(actor, "grant.manage")
        keep_a_lasting_admin("grant", work.now, grant_id=grant_id)
        grant = locked(RoleGrant, actor.tenant_id, grant_id)
        work.emit("grant.withdrawn", person=grant.person_id, role=grant.role, process=grant.process, team=grant.team_id)
        grant.delete()


def create_team(*, actor: Actor, name: str, description: str = "", restricted: bool = False) -> Team:
    """Add a team. The tickets of a restricted one exist for its members only."""
    problems = Problems()
    clean_name = clean_text(problems, "name", name, limit=120, required=True, line=True)
    clean_description = clean_text(problems, "description", description, limit=500)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "team.manage")
        refuse_taken(Team, actor.tenant_id, "a team", name=clean_name)
        team = Team(tenant_id=actor.tenant_id, name=clean_name, description=clean_description, is_restricted=restricted)
        work.add(team)
        work.emit("team.created", team=team.pk, restricted=restricted)
    return team


def update_team(
    *,
    actor: Actor,
    team_id: UUID,
    name: str | Unset = UNSET,
    description: str | Unset = UNSET,
    restricted: bool | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> Team:
    """Change a team. Restricting it ends everybody else's access to its tickets at once."""
    problems = Problems()
    clean: dict[str, object] = {}
    if name is not UNSET:
        clean["name"] = clean_text(problems, "name", name, limit=120, required=True, line=True)
    if description is not UNSET:
        clean["description"] = clean_text(problems, "description", description, limit=500)
    if restricted is not UNSET:
        clean["is_restricted"] = restricted
    if active is not UNSET:
        clean["is_active"] = active
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "team.manage")
        team = locked(Team, actor.tenant_id, team_id)
        if "name" in clean:
            refuse_taken(Team, actor.tenant_id, "a team", but=team.pk, name=clean["name"])
        changes = {field: value for field, value in clean.items() if getattr(team, field) != value}
        if changes:
            for field, value in changes.items():
                setattr(team, field, value)
            work.changed(team, *changes)
            work.emit("team.changed", team=team.pk, fields=sorted(changes))
    return team


def create_token(
    *, actor: Actor, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token for oneself; answers it with its secret, which is shown this once and never stored."""
    problems = Problems()
    clean_name = clean_text(problems, "name", name, limit=100, required=True, line=True)
    asked = sorted(set(scopes))
    if not asked:
        problems.add("scopes", "required", f"Name at least one scope of {', '.join(SCOPES)}.")
    for unknown in set(asked) - set(SCOPES):
        problems.add("scopes", "unknown_scope", f"{unknown[:40]} is not one of {', '.join(SCOPES)}.")
    with unit_of_work(actor) as work:
        if expires_at is not None and expires_at <= work.now:
            problems.add("expires_at", "in_the_past", "expires_at must be in the future.")
        problems.raise_if_any()
        authorize(actor, "token.create")
        if actor.person_id is None:
            raise Invalid.one("person", "required", "Only a person can have tokens.")
        text, prefix, secret = new_secret()
        token = ApiToken(
            tenant_id=actor.tenant_id,
            person_id=actor.person_id,
            name=clean_name,
            prefix=prefix,
            secret_hash=secret,
            scopes=asked,
            expires_at=expires_at,
        )
        work.add(token)
        work.emit("token.created", token=token.pk, person=actor.person_id, scopes=asked, expires_at=expires_at)
    return token, text


def revoke_token(*, actor: Actor, token_id: UUID) -> None:
    """End a token, one's own or (for a tenant admin) anybody's. It stops working at once."""
    with unit_of_work(actor) as work:
        token = locked(ApiToken, actor.tenant_id, token_id)
        if token.person_id != actor.person_id:
            authorize(actor, "token.manage")
        if token.revoked_at is None:
            token.revoked_at = work.now
            work.changed(token, "revoked_at")
            work.emit("token.revoked", token=token.pk, person=token.person_id)


def _person(person_id: UUID) -> Person:
    person = Person.objects.select_for_update().filter(pk=person_id, erased_at__isnull=True).first()
    if person is None:
        raise NotFound
    return person  # type: ignore[no-any-return]


def _email_key(problems: Problems, email: str) -> str:
    key = clean_text(problems, "email", email, limit=254, line=True).lower()
    if key:
        try:
            validate_email(key)
        except ValidationError:
            problems.add("email", "not_an_address", "email must look like name@example.org.")
    return key

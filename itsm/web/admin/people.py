"""Who is who: people, organisations, teams, roles, tokens."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.tokens import default_token_generator
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from itsm.access import commands, organisations
from itsm.access.catalogue import GRANTABLE
from itsm.access.decide import allows
from itsm.access.invitations import Invitation, invite_person
from itsm.access.models import ApiToken, RoleGrant
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.tenancy.models import Membership, Organisation, Person, Team, User
from itsm.web.admin.base import CommandAdmin, CommandModelForm, ReadOnlyAdmin, choice
from itsm.web.admin.sites import site
from itsm.web.admin.tree import TreeAdmin
from itsm.web.choices import zones
from itsm.web.refusals import refusal_text


class PersonForm(CommandModelForm):
    language = choice(gettext_lazy("Language"), [("", "—"), *settings.LANGUAGES], required=False)
    time_zone = choice(gettext_lazy("Time zone"), lambda: [("", "—"), *zones()], required=False)


@admin.register(Person, site=site)
class PersonAdmin(CommandAdmin):
    read: ClassVar = ("person.read",)
    manage = "person.manage"
    form = PersonForm
    places: ClassVar = {"email": "email_key"}
    fields = ("name", "email_key", "organisation", "language", "time_zone", "is_active")
    fixed = ("email_key",)
    autocomplete_fields = ("organisation",)
    list_display = ("name", "email_key", "organisation", "is_active")
    list_select_related = ("organisation",)
    list_filter = ("is_active",)
    search_fields = ("name", "email_key")
    ordering = ("name",)
    actions = ("invite", "end_membership")

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        organisation = data["organisation"]
        person = commands.create_person(
            actor=actor,
            name=data["name"],
            email=data["email_key"] or "",
            organisation_id=organisation.pk if organisation else None,
        )
        given = {name: data[name] for name in ("language", "time_zone") if data[name]}
        if given:
            commands.update_person(actor=actor, person_id=person.pk, **given)
        if not data["is_active"]:
            commands.set_person_active(actor=actor, person_id=person.pk, active=False)
        return person

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        given: dict[str, Any] = {name: data[name] for name in ("name", "language", "time_zone") if name in data}
        if "organisation" in data:
            given["organisation_id"] = data["organisation"].pk if data["organisation"] else None
        if given:
            commands.update_person(actor=actor, person_id=row.pk, **given)
        if "is_active" in data:
            commands.set_person_active(actor=actor, person_id=row.pk, active=data["is_active"])

    @admin.action(description=gettext_lazy("Invite: let them sign in"), permissions=["change"])
    def invite(self, request: Any, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Links to set a password are on the answer to this POST and nowhere else."""
        invited: list[dict[str, Any]] = []
        for person in queryset.order_by("name")[:100]:
            try:
                invitation = invite_person(actor=request.actor, person_id=person.pk)
            except DomainError as error:
                self.message_user(request, refusal_text(error), messages.ERROR)
                continue
            invited.append({"person": person, "link": _link(request, invitation)})
        if not invited:
            return None
        context = {**self.admin_site.each_context(request), "invited": invited, "title": _("Invited")}
        response = render(request, "itsm/admin/invited.html", context)
        add_never_cache_headers(response)
        return response

    @admin.action(description=gettext_lazy("End the membership: no longer sign in"), permissions=["change"])
    def end_membership(self, request: Any, queryset: QuerySet[Any]) -> None:
        for person in queryset.order_by("name")[:200]:
            try:
                commands.end_membership(actor=request.actor, person_id=person.pk)
            except DomainError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                self.message_user(request, _("Can no longer sign in: %(person)s") % {"person": person.name})


def _link(request: Any, invitation: Invitation) -> str:
    if not invitation.sets_password:
        return ""
    uid = urlsafe_base64_encode(force_bytes(invitation.user.pk))
    token = default_token_generator.make_token(invitation.user)
    return f"{request.scheme}://{request.get_host()}/accounts/invitation/{uid}/{token}/"


@admin.register(Membership, site=site)
class MembershipAdmin(CommandAdmin):
    """Who may sign in, and until when. Persons become members by an invitation."""

    read: ClassVar = ("audit.read",)
    manage = "person.manage"
    creates = False
    places: ClassVar = {"at": "valid_until", "person": "valid_until"}
    fields = ("person", "is_active", "valid_until", "created_at")
    fixed = ("person", "is_active", "created_at")
    list_display = ("person", "is_active", "valid_until", "created_at")
    list_select_related = ("person",)
    list_filter = ("is_active",)
    search_fields = ("person__name", "person__email_key")
    ordering = ("person__name",)

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        if data["valid_until"] is not None:
            commands.end_membership(actor=actor, person_id=row.person_id, at=data["valid_until"])
        else:
            commands.invite_user(actor=actor, person_id=row.person_id, user=User.objects.get(pk=row.user_id))


@admin.register(Organisation, site=site)
class OrganisationAdmin(TreeAdmin):
    read: ClassVar = ("person.read",)
    manage = "person.manage"
    autocomplete_fields = ("parent",)

    def make(self, actor: Actor, **fields: Any) -> Model:
        return organisations.create_organisation(actor=actor, **fields)

    def change(self, actor: Actor, row: Any, **fields: Any) -> None:
        organisations.update_organisation(actor=actor, organisation_id=row.pk, **fields)


@admin.register(Team, site=site)
class TeamAdmin(CommandAdmin):
    read: ClassVar = ("team.read",)
    manage = "team.manage"
    places: ClassVar = {"restricted": "is_restricted"}
    fields = ("name", "description", "is_restricted", "is_active")
    list_display = ("name", "description", "is_restricted", "is_active")
    list_filter = ("is_restricted", "is_active")
    search_fields = ("name",)
    ordering = ("name",)

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        teams = super().get_queryset(request)
        if allows(request.actor, "team.manage"):
            return teams
        return teams.exclude(pk__in=request.actor.hidden_teams)

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        team = commands.create_team(
            actor=actor, name=data["name"], description=data["description"], restricted=data["is_restricted"]
        )
        if not data["is_active"]:
            commands.update_team(actor=actor, team_id=team.pk, active=False)
        return team

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        names = {"is_restricted": "restricted", "is_active": "active"}
        commands.update_team(actor=actor, team_id=row.pk, **{names.get(k, k): v for k, v in data.items()})


class GrantForm(CommandModelForm):
    role = choice(gettext_lazy("Role"), [(role.value, role.value) for role in GRANTABLE])


@admin.register(RoleGrant, site=site)
class RoleGrantAdmin(CommandAdmin):
    read: ClassVar = ("audit.read",)
    manage = "grant.manage"
    form = GrantForm
    fields = ("person", "role", "process", "team", "valid_until")
    fixed = ("person", "role", "process", "team")
    autocomplete_fields = ("person",)
    list_display = ("person", "role", "process", "team", "valid_until")
    list_select_related = ("person", "team")
    list_filter = ("role",)
    search_fields = ("person__name", "person__email_key")
    ordering = ("person__name", "role")
    actions = ("withdraw",)

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        grants = super().get_queryset(request)
        if allows(request.actor, "grant.manage"):
            return grants
        return grants.exclude(team_id__in=request.actor.hidden_teams)

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        team = data["team"]
        return commands.grant_role(
            actor=actor,
            person_id=data["person"].pk,
            role=data["role"],
            process=data["process"] or None,
            team_id=team.pk if team else None,
            valid_until=data["valid_until"],
        )

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        commands.grant_role(
            actor=actor,
            person_id=row.person_id,
            role=row.role,
            process=row.process or None,
            team_id=row.team_id,
            valid_until=data["valid_until"],
        )

    @admin.action(description=gettext_lazy("Withdraw the selected roles"), permissions=["change"])
    def withdraw(self, request: Any, queryset: QuerySet[Any]) -> None:
        for grant in queryset[:200]:
            try:
                commands.withdraw_role(actor=request.actor, grant_id=grant.pk)
            except DomainError as error:
                self.message_user(request, refusal_text(error), messages.ERROR)
            else:
                self.message_user(request, _("Withdrawn: %(grant)s") % {"grant": f"{grant.person} – {grant.role}"})


@admin.register(ApiToken, site=site)
class ApiTokenAdmin(ReadOnlyAdmin):
    read: ClassVar = ("token.manage", "audit.read")
    fields = ("name", "person", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_display = ("name", "person", "prefix", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("person",)
    search_fields = ("name", "person__name", "prefix")
    ordering = ("-created_at",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: Any) -> bool:
        return allows(request.actor, "token.manage")

    @admin.action(description=gettext_lazy("Revoke the selected tokens"), permissions=["revoke"])
    def revoke(self, request: Any, queryset: QuerySet[Any]) -> None:
        for token in queryset[:200]:
            commands.revoke_token(actor=request.actor, token_id=token.pk)
        self.message_user(request, _("The tokens are revoked."))

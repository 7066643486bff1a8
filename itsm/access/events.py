"""Event kinds of who is who: people and their logins, roles, tokens, teams, organisations. Ids and codes only."""

from itsm.events.kinds import kind

KINDS = (
    kind("person.created", "person", "organisation"),
    kind("person.changed", "person fields"),
    kind("person.disabled", "person"),
    kind("person.enabled", "person"),
    kind("membership.created", "person user"),
    # At once, or at ``valid_until``; inviting again resumes it.
    kind("membership.ended", "person user", "valid_until"),
    kind("membership.resumed", "person user"),
    kind("grant.given", "person role", "process team valid_until"),
    kind("grant.withdrawn", "person role", "process team"),
    kind("token.created", "token person scopes", "expires_at"),
    kind("token.revoked", "token person"),
    kind("team.created", "team", "restricted"),
    kind("team.changed", "team fields"),
    kind("organisation.created", "organisation"),
    kind("organisation.changed", "organisation fields"),
)

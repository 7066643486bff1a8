"""The permission table: at once the code that decides, the input of the role-matrix test and a page of the documentation.

A row is a permission; a cell is how far a role reaches with it. Process roles (manager, owner) are granted per process and
count for tickets of that process's kind only; the agent role may be granted in the whole tenant or in one team.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final


class Role(StrEnum):
    """The roles of a tenant. SYSTEM is the product itself and is granted to nobody."""

    REQUESTER = "requester"
    AGENT = "agent"
    PROCESS_MANAGER = "process_manager"
    PROCESS_OWNER = "process_owner"
    TENANT_ADMIN = "tenant_admin"
    AUDITOR = "auditor"
    #: Not granted: the ceiling of what any token may do, whatever its maker and its scopes say.
    INTEGRATION = "integration"
    SYSTEM = "system"


#: Roles that must name a process, and the one that may name a team.
PER_PROCESS: Final = frozenset({Role.PROCESS_MANAGER, Role.PROCESS_OWNER})
PER_TEAM: Final = frozenset({Role.AGENT})
GRANTABLE: Final = tuple(role for role in Role if role not in {Role.INTEGRATION, Role.SYSTEM})


class Reach(IntEnum):
    """How far a role reaches. OWN: tickets that I requested. SHARED: those, and tickets that I watch. ALL: every ticket
    that I can see, which never includes a restricted team's unless I am its member."""

    NONE = 0
    OWN = 1
    SHARED = 2
    ALL = 3


_COLUMNS = (
    Role.REQUESTER,
    Role.AGENT,
    Role.PROCESS_MANAGER,
    Role.PROCESS_OWNER,
    Role.TENANT_ADMIN,
    Role.AUDITOR,
    Role.INTEGRATION,
    Role.SYSTEM,
)
_LETTER = {"-": Reach.NONE, "o": Reach.OWN, "s": Reach.SHARED, "A": Reach.ALL}

#                                 requester
#                                 | agent
#                                 | | process manager
#                                 | | | process owner
#                                 | | | | tenant admin
#                                 | | | | | auditor
#                                 | | | | | | integration (ceiling)
#                                 | | | | | | | system
_TABLE = """
    ticket.read                   s A A A A A A A
    ticket.read_internal          - A A A - A A A
    ticket.comment                s A A A - - A A
    ticket.comment_internal       - A A A - - A A
    ticket.attach                 s A A A - - A A
    ticket.watch                  s A A A A A A A
    ticket.manage_watchers        - A A A - - A A
    ticket.link                   - A A A - - A A
    ticket.assign                 - A A A - - A A
    ticket.update                 - A A A - - A A
    ticket.export                 - A A A A A A A
    incident.create               o A A A - - A A
    incident.create_for_others    - A A A - - A A
    incident.start                - A A A - - A A
    incident.hold                 - A A A - - A A
    incident.resume               - A A A - - A A
    incident.resolve              - A A A - - A A
    incident.reopen               o A A A - - A A
    incident.close                o A A A - - A A
    incident.cancel               o A A A - - A A
    incident.merge                - A A A - - A A
    incident.declare_major        - A A A - - A A
    incident.update_major         - A A A - - A A
    incident.review_major         - - A A - - A A
    incident.import               - - A A A - - A
    report.read                   - A A A A A A A
    event.read                    - A A A A A A A
    audit.read                    - - - A A A A A
    team.read                     - A A A A A A A
    team.manage                   - - - - A - - A
    person.read                   - A A A A A A A
    person.manage                 - - - - A - - A
    person.erase                  - - - - A - - A
    text.retire                   - - - - - - - A
    grant.manage                  - - - - A - - A
    service.read                  A A A A A A A A
    service.manage                - - A A A - - A
    category.read                 A A A A A A A A
    category.manage               - - A A A - - A
    escalation.read               - A A A A A A A
    escalation.manage             - - A A A - - A
    escalation.start              - A A A - - A A
    escalation.acknowledge        - A A A - - A A
    oncall.read                   - A A A A A A A
    oncall.manage                 - - A A A - A A
    oncall.swap                   - A A A A - A A
    settings.read                 - A A A A A A A
    settings.manage               - - - - A - - A
    notification.read             A A A A A A A -
    notification.update           A A A A A A A -
    notification.manage           - - - - A - A -
    sla.read                      - A A A A A A A
    sla.manage                    - - - A A - A A
    token.create                  A A A A A A - A
    token.manage                  - - - - A - - A
"""


def _parse(table: str) -> dict[str, dict[Role, Reach]]:
    parsed = {}
    for line in table.strip().splitlines():
        permission, *letters = line.split()
        parsed[permission] = {
            role: _LETTER[letter] for role, letter in zip(_COLUMNS, letters, strict=True) if letter != "-"
        }
    return parsed


TABLE: Final = _parse(_TABLE)

#: What a token's scope opens. A scope is a noun of the API and read or write; permissions are grouped by their meaning. One
#: that is named in KIND_OF_SCOPE opens them for tickets of that kind only.
SCOPES: Final[dict[str, frozenset[str]]] = {
    "incidents:read": frozenset({"ticket.read", "ticket.read_internal", "ticket.export"}),
    "incidents:write": frozenset(
        {p for p in TABLE if p.startswith("incident.") and p != "incident.import"}
        | {
            p
            for p in TABLE
            if p.startswith("ticket.") and p not in {"ticket.read", "ticket.read_internal", "ticket.export"}
        }
        | {"escalation.start", "escalation.acknowledge"}
    ),
    "events:read": frozenset({"event.read", "audit.read"}),
    "reports:read": frozenset({"report.read"}),
    "notifications:read": frozenset({"notification.read"}),
    "notifications:write": frozenset({"notification.update"}),
    "webhooks:write": frozenset({"notification.manage"}),
    "oncall:read": frozenset({"oncall.read"}),
    "oncall:write": frozenset({"oncall.manage", "oncall.swap"}),
    "sla:read": frozenset({"sla.read"}),
    "sla:write": frozenset({"sla.manage"}),
    "directory:read": frozenset(
        {"team.read", "person.read", "service.read", "category.read", "settings.read", "escalation.read"}
    ),
}


KIND_OF_SCOPE: Final = {"incidents:read": "incident", "incidents:write": "incident"}


def role_columns() -> tuple[Role, ...]:
    """The roles in the order in which the documentation shows them."""
    return _COLUMNS


def permissions_of(scopes: frozenset[str]) -> frozenset[str]:
    """All permissions that these scopes open, for any kind of ticket; unknown scopes open nothing."""
    opened: set[str] = set()
    for scope in scopes:
        opened |= SCOPES.get(scope, frozenset())
    return frozenset(opened)


def kinds_opened(scopes: frozenset[str], permission: str) -> frozenset[str] | None:
    """The kinds of ticket for which these scopes open a permission; None for every kind."""
    opening = [scope for scope in scopes if permission in SCOPES.get(scope, ())]
    if any(scope not in KIND_OF_SCOPE for scope in opening):
        return None
    return frozenset(KIND_OF_SCOPE[scope] for scope in opening)

"""The permission table as a page of the documentation, so that what is written is what decides."""

from __future__ import annotations

from itsm.access.catalogue import KIND_OF_SCOPE, SCOPES, TABLE, Reach, Role, role_columns

_MARK = {Reach.NONE: "–", Reach.OWN: "own", Reach.SHARED: "shared", Reach.ALL: "all"}
_HEAD = """# Permissions

Written from the table in `itsm/access/catalogue.py` by `manage.py permission_page`; a test compares the two. The same
table decides for pages, API, exports and search, and feeds the role-matrix test.

**all** reaches every ticket that the role can see. **shared** reaches tickets that one requested or watches, **own** those
that one requested. Whatever is not about tickets is simply allowed or not (–).

- Process manager and process owner are granted per process and count for tickets of that process only.
- The agent role may be granted in the whole service desk or in one team.
- The tickets of a restricted team exist for its members only. Whoever requested one sees it as its requester and may do
  with it what the requester column says, whatever other roles he or she has.
- Integration is granted to nobody: it is the ceiling of every token. A token may do what its scopes open, within this
  ceiling, as far as its maker may at that moment.
- System is the product itself: sweeps, follow-up reactions, imports.
"""


def permission_page() -> str:
    """The page in Markdown, ending with a newline."""
    columns = role_columns()
    lines = [_HEAD, _row(["Permission", *(_title(role) for role in columns)]), _row(["---"] * (len(columns) + 1))]
    for permission, row in TABLE.items():
        lines.append(_row([f"`{permission}`", *(_MARK[row.get(role, Reach.NONE)] for role in columns)]))
    lines += ["", "## Scopes of tokens", "", _row(["Scope", "Opens"]), _row(["---", "---"])]
    for scope, permissions in SCOPES.items():
        opened = ", ".join(f"`{permission}`" for permission in TABLE if permission in permissions)
        kind = KIND_OF_SCOPE.get(scope)
        lines.append(_row([f"`{scope}`", opened + (f" (for tickets of kind `{kind}`)" if kind else "")]))
    closed = [p for p in TABLE if not any(p in opened for opened in SCOPES.values())]
    lines += ["", "No scope opens " + ", ".join(f"`{permission}`" for permission in closed) + "."]
    return "\n".join(lines) + "\n"


def _title(role: Role) -> str:
    return role.value.replace("_", " ").capitalize()


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

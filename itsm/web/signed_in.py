"""Who is signed in. Every page asks for the session and its user, so both statements are written out and not built each time."""

from __future__ import annotations

from typing import Any, TypeVar

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.db import connection, models
from django.utils import timezone

from itsm.tenancy.models import User

M = TypeVar("M", bound=models.Model)


class SessionStore(db.SessionStore):
    """Django's sessions in the database, read by one statement that stays prepared."""

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        found = _read(Session, "session_key = %s AND expire_date > %s", [self.session_key, timezone.now()])
        if found is None:
            self._session_key = None
        return found


class Backend(AuthenticationBackend):
    """allauth's way to sign in; the user of a session is read by one statement that stays prepared."""

    def get_user(self, user_id: Any) -> User | None:
        user = _read(User, "id = %s", [user_id])
        return user if user is not None and self.user_can_authenticate(user) else None


def _read(model: type[M], condition: str, values: list[Any]) -> M | None:
    fields = model._meta.concrete_fields
    columns = ", ".join(str(field.column) for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {model._meta.db_table} WHERE {condition}", values)
        row = cursor.fetchone()
    return None if row is None else model.from_db(connection.alias, [field.attname for field in fields], row)

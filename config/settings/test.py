"""The test suite: real PostgreSQL and Valkey, created and migrated by the owner, then used as the app role."""

from __future__ import annotations

from config.settings.base import *  # noqa: F403
from config.settings.base import DATABASES, STORAGES

SECRET_KEY = "for-tests-only"  # noqa: S105
ALLOWED_HOSTS = ["*"]
# One connection, so that a test's open transaction is visible to everything it calls. tests/conftest.py switches the
# role to the app's once the schema stands; itsm.tenancy.roles changes it for owner and platform work.
DATABASES["default"] = {**DATABASES["owner"], "CONN_MAX_AGE": 0}
# As in production: what the server cannot bind must fail here.
DATABASES["default"]["OPTIONS"] = {**DATABASES["owner"]["OPTIONS"], "server_side_binding": True, "prepare_threshold": 1}
for _alias in ("numbers", "platform", "owner"):
    del DATABASES[_alias]
DATABASE_ALIASES = {"numbers": "default", "platform": "default", "owner": "default"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT = None
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
STORAGES["default"] = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
# Tests send forms faster than a hand does.
WEB_RATE_LIMIT = (10**9, 60)
CELERY_TASK_ALWAYS_EAGER = False

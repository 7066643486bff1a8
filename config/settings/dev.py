"""The embedded default: one machine, plain HTTP on localhost. ``make run`` sets the environment that base reads."""

from __future__ import annotations

from pathlib import Path

from config.embedded.environment import load_embedded_environment

load_embedded_environment()

from config.settings.base import *  # noqa: E402, F403
from config.settings.base import EMAIL_FILE_PATH, EMAIL_HOST, MEDIA_ROOT, SECRET_KEY, STORAGES  # noqa: E402

SECRET_KEY = SECRET_KEY or "only-for-commands-that-serve-nobody"
# Mail can be looked at without a mail server.
if not EMAIL_HOST:
    EMAIL_FILE_PATH = EMAIL_FILE_PATH or str(Path(MEDIA_ROOT).parent / "mail")
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
# Served from the apps themselves, no collectstatic needed.
STATIC_ROOT = None
WHITENOISE_AUTOREFRESH = True
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

"""The embedded default: one machine, plain HTTP on localhost. ``make run`` sets the environment that base reads."""

from __future__ import annotations

from config.embedded.environment import load_embedded_environment

load_embedded_environment()

from config.settings.base import *  # noqa: E402, F403
from config.settings.base import SECRET_KEY, STORAGES  # noqa: E402

SECRET_KEY = SECRET_KEY or "only-for-commands-that-serve-nobody"
# Served from the apps themselves, no collectstatic needed.
STATIC_ROOT = None
WHITENOISE_AUTOREFRESH = True
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

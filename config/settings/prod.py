"""Production: everything secret comes from the environment, everything goes over HTTPS.

Static files are what ``collectstatic`` put into STATIC_ROOT; the containers' image has them from its build.
"""

from __future__ import annotations

from config import env
from config.settings.base import *  # noqa: F403
from config.settings.base import LOGGING

SECRET_KEY = env.text("SECRET_KEY")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", [])
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS", [])
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", True)
# A probe comes from the machine itself, without the proxy and without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz/", r"^metrics$"]
_BEHIND_PROXY = env.flag("BEHIND_PROXY", True)
METRICS_ONLY_BY_TOKEN = _BEHIND_PROXY
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _BEHIND_PROXY else None
ALLAUTH_TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXIES", 1 if _BEHIND_PROXY else 0)
SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.flag("SECURE_COOKIES", True)
WHITENOISE_USE_FINDERS = False
LOGGING["handlers"]["console"]["formatter"] = env.choice("LOG_FORMAT", "json", ("line", "json"))

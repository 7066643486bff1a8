"""Settings that hold everywhere. What differs between a laptop, the test suite and production stands in the other files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config import env

BASE_DIR = Path(__file__).resolve().parents[2]

SECRET_KEY = env.text("SECRET_KEY", "")
DEBUG = False
ALLOWED_HOSTS: list[str] = env.names("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])

INSTALLED_APPS = [
    "itsm.tenancy",
    "itsm.access",
    "itsm.events",
    "itsm.tickets",
    "itsm.sla",
    "itsm.notify",
    "itsm.oncall",
    "itsm.escalation",
    "itsm.reports",
    "itsm.api",
    "itsm.web",
    "incidents",
    "config.apps.WiringConfig",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "itsm.web.middleware.RequestIdMiddleware",
    "config.observe.requests.ObserveMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "itsm.web.middleware.BodySizeMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "itsm.web.middleware.TenantMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.template.context_processors.tz",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "itsm.web.context.shell",
            ],
        },
    },
]

# --- Database: three roles of one database, see docs/operations/roles.sql -------------------------------------------
# Statements are prepared when they come a second time on a connection, so that the server plans each once and not for
# every request. A pooler in transaction mode in between must carry prepared statements (PgBouncer 1.21 or newer does);
# for one that cannot: DATABASE_PREPARE=no.
_PREPARED = {"server_side_binding": True, "prepare_threshold": 1} if env.flag("DATABASE_PREPARE", True) else {}
_SESSION = {
    "OPTIONS": {
        "options": "-c statement_timeout=5000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000",
        **_PREPARED,
    }
}
# A password may come apart from its address, because it often lies in a file that something else writes and rotates.
_APP_URL = env.text("DATABASE_URL", "postgresql://itsm_app@/viable")
_APP_PASSWORD = env.text("DATABASE_PASSWORD", "")
# Whoever is not given another role's address or password must still know its name (the audit compares everybody's
# grants), and must fail to become it rather than do its work as the app.
_OWNER_URL = env.text("DATABASE_OWNER_URL", env.as_role(_APP_URL, "itsm_owner"))
_PLATFORM_URL = env.text("DATABASE_PLATFORM_URL", env.as_role(_APP_URL, "itsm_platform"))
_PERSISTENT = {"CONN_MAX_AGE": env.number("DATABASE_CONN_MAX_AGE", 600), "CONN_HEALTH_CHECKS": True}
DATABASES: dict[str, Any] = {
    "default": env.database(_APP_URL, _APP_PASSWORD, **_SESSION, **_PERSISTENT),
    # Human numbers are taken in short transactions of their own, so that nobody queues behind a long one.
    "numbers": env.database(_APP_URL, _APP_PASSWORD, **_SESSION, **_PERSISTENT),
    "platform": env.database(_PLATFORM_URL, env.text("DATABASE_PLATFORM_PASSWORD", ""), **_SESSION, **_PERSISTENT),
    "owner": env.database(_OWNER_URL, env.text("DATABASE_OWNER_PASSWORD", "")),
}
#: Which alias serves which kind of work; the test suite maps all of them to "default".
DATABASE_ALIASES = {"numbers": "numbers", "platform": "platform", "owner": "owner"}
DATABASE_ROLES = {
    "app": DATABASES["default"]["USER"],
    "platform": DATABASES["platform"]["USER"],
    "owner": DATABASES["owner"]["USER"],
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Queue ----------------------------------------------------------------------------------------------------------
REDIS_URL = env.redis(env.text("REDIS_URL", "redis://127.0.0.1:6379/0"), env.text("REDIS_PASSWORD", ""))
#: A file that worker and beat touch while they work; a health check looks at its age.
HEARTBEAT_PATH = env.text("HEARTBEAT_PATH", "")
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "itsm.web.cache.OpenCache",
        "LOCATION": env.redis(env.text("CACHE_URL", REDIS_URL), env.text("CACHE_PASSWORD", "")),
        "KEY_PREFIX": "viable",
        # What is cached can be done without: a Valkey that hangs must not hold a request.
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
}

# --- People, sessions, language -------------------------------------------------------------------------------------
AUTH_USER_MODEL = "tenancy.User"
AUTHENTICATION_BACKENDS = ["itsm.web.signed_in.Backend"]
SESSION_ENGINE = "itsm.web.signed_in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Signing in, by allauth: an address and a password, a second step for those who set one up, no signing up.
ACCOUNT_ADAPTER = "itsm.web.accounts.AccountAdapter"
MFA_ADAPTER = "itsm.web.accounts.SecondStepAdapter"
ACCOUNT_FORMS = {"login": "itsm.web.accounts.LoginForm"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {"login": "60/m/ip", "login_failed": "20/m/ip,5/5m/key", "reset_password": "20/m/ip,3/5m/key"}
#: How many proxies of ours stand before the server; the last of that many addresses in X-Forwarded-For is the client's.
ALLAUTH_TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXIES", 0)
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "Viable"
MFA_TOTP_TOLERANCE = 1
LOGIN_URL = "/accounts/login/"
#: Hosts that carry no tenant of their own (tenants are told by the path there).
GLOBAL_HOSTS = frozenset(env.names("GLOBAL_HOSTS", ["127.0.0.1", "localhost", "[::1]", "testserver"]))
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
CSRF_FAILURE_VIEW = "itsm.web.errors.csrf_refused"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 60 * 60 * 24 * 14
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("ar", "العربية")]
LOCALE_PATHS = [BASE_DIR / "itsm" / "web" / "locale"]

# --- Mail -----------------------------------------------------------------------------------------------------------
#: Empty: no mail leaves, and a forgotten password is a matter for the administrator.
EMAIL_HOST = env.text("EMAIL_HOST", "")
#: Without a mail server, mails are written into files of this folder; without either they go nowhere.
EMAIL_FILE_PATH = env.text("EMAIL_FILES", "")
EMAIL_BACKEND = "django.core.mail.backends." + (
    "smtp.EmailBackend" if EMAIL_HOST else "filebased.EmailBackend" if EMAIL_FILE_PATH else "dummy.EmailBackend"
)
EMAIL_PORT = env.number("EMAIL_PORT", 587)
EMAIL_HOST_USER = env.text("EMAIL_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_TLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "viable@localhost")
#: Where people reach this installation: the beginning of every link in a mail.
PUBLIC_URL = env.text("PUBLIC_URL", "http://127.0.0.1:8000")

# --- Webhooks -------------------------------------------------------------------------------------------------------
#: Tenants choose the addresses: by default only https, and nothing of a private network.
WEBHOOKS_ALLOW_HTTP = env.flag("WEBHOOKS_HTTP")
WEBHOOKS_ALLOW_PRIVATE = env.flag("WEBHOOKS_PRIVATE")

# --- Files ----------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT: str | None = env.text("STATIC_ROOT", str(BASE_DIR / "staticfiles"))
WHITENOISE_USE_FINDERS = True
MEDIA_ROOT = env.text("MEDIA_ROOT", str(Path(env.text("VIABLE_STATE", str(BASE_DIR / ".state"))) / "media"))
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": MEDIA_ROOT}},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if bucket := env.text("S3_BUCKET", ""):
    STORAGES["default"] = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {"bucket_name": bucket}}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# --- Walls of the browser -------------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

#: How many forms one person may send (number, seconds). Far above a hand's pace, far below a script's.
WEB_RATE_LIMIT = (env.number("WEB_RATE_FORMS", 60), 60)

# --- REST API -------------------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
#: (requests, seconds) for one caller and for a whole tenant.
API_RATE_LIMITS = {
    "token": (env.number("API_RATE_TOKEN", 6000), 60),
    "tenant": (env.number("API_RATE_TENANT", 60000), 60),
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Viable",
    "VERSION": "1",
    "DESCRIPTION": "Service management over REST. Every error is a problem (RFC 9457); lists are pages by cursor.",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_PUBLIC": True,
    "SERVE_INCLUDE_SCHEMA": False,
    # Choices stay beside the field that has them: shared names for them would change with every new field.
    "POSTPROCESSING_HOOKS": [],
    "PREPROCESSING_HOOKS": ["itsm.api.schema.only_with_slash"],
    "SERVERS": [
        {"url": "/", "description": "The token tells the tenant (the service desk)."},
        {
            "url": "/t/{tenant}/",
            "description": "The address tells it.",
            "variables": {"tenant": {"default": "acme"}},
        },
    ],
}

# --- What operators see ----------------------------------------------------------------------------------------------
#: Whoever presents it reads /metrics; without it only this machine does.
METRICS_TOKEN = env.text("METRICS_TOKEN", "")
#: Where a proxy stands in front, every address is the proxy's and proves nothing.
METRICS_ONLY_BY_TOKEN = False
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "config.observe.logs.LineFormatter"},
        "json": {"()": "config.observe.logs.JsonFormatter"},
    },
    "filters": {"without_path": {"()": "config.observe.logs.WithoutPath"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": env.choice("LOG_FORMAT", "line", ("line", "json"))}
    },
    "loggers": {
        # A sweep every second is not worth a line every second.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        # Says what viable.task says, with the arguments of the task and the words of the exception.
        "celery.app.trace": {"level": "CRITICAL"},
        # What clients do wrong stands in the access line; a warning is for somebody who can do something.
        "django.request": {"level": "ERROR", "filters": ["without_path"]},
        "django.security": {"level": "CRITICAL"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
}

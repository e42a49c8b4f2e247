"""Settings, read from the environment or .env; each variable NAME may also be NAME_FILE.

.env.example lists them all; a test compares the two.
"""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from config.environment import ROOT, Environment
from tenants.crypto.master_keys import field_keys_or_placeholder

BASE_DIR = ROOT
env = Environment()
READS_DOTENV = os.environ.get("MODELKEEP_READ_DOTENV", "1") == "1"
if READS_DOTENV:
    environ.Env.read_env(BASE_DIR / ".env")

DATA_DIR = BASE_DIR / env.str("DATA_DIR", default="var")
DEBUG = env.bool("DEBUG", default=False)

# The first start (`manage.py init`, `make run`) generates missing secrets in DATA_DIR with mode
# 0600.


def _secret(name: str, filename: str) -> str:
    value: str = env.str(name, default="")
    path = DATA_DIR / filename
    if not value and path.is_file():
        value = path.read_text(encoding="ascii").strip()
    return value


SECRET_KEY = _secret("SECRET_KEY", "secret_key")
MODELKEEP_MASTER_KEYS = _secret("MODELKEEP_MASTER_KEYS", "master_keys")

# Encrypts backups (manage.py backup): an age key, public or private.
MODELKEEP_BACKUP_KEY = env.str("MODELKEEP_BACKUP_KEY", default="")

# Where gunicorn listens (config/gunicorn.conf.py); also the default for SITE_URL.
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
_everywhere = HOST in ("0.0.0.0", "::")  # noqa: S104
_site = urlsplit(
    env.str("SITE_URL", default=f"http://{'localhost' if _everywhere else HOST}:{PORT}")
)
# The path prefix that a proxy adds; it may also be part of SITE_URL.
FORCE_SCRIPT_NAME = (
    f"/{_prefix}" if (_prefix := env.str("SCRIPT_NAME", default=_site.path).strip("/")) else None
)
SITE_URL = f"{_site.scheme}://{_site.netloc}{FORCE_SCRIPT_NAME or ''}"
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS",
    default=["localhost", "127.0.0.1", "[::1]", urlsplit(SITE_URL).hostname or "localhost"],
)
HTTPS = SITE_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = env.list(
    "CSRF_TRUSTED_ORIGINS", default=[f"https://{_site.netloc}"] if HTTPS else []
)
TRUSTED_PROXY_HEADER = env.bool("TRUST_X_FORWARDED_PROTO", default=False)

MODELKEEP_EGRESS_ALLOW = env.list("MODELKEEP_EGRESS_ALLOW", default=[])
MODELKEEP_DEMO_PROVIDER = env.bool("MODELKEEP_DEMO_PROVIDER", default=True)
MODELKEEP_BRAND_LOGOS = env.bool("MODELKEEP_BRAND_LOGOS", default=True)
# Seconds: deadline of a provider call, maximum silence within a stream, connection timeout.
MODELKEEP_CALL_DEADLINE = env.seconds("MODELKEEP_CALL_DEADLINE", default=600)
MODELKEEP_IDLE_TIMEOUT = env.seconds("MODELKEEP_IDLE_TIMEOUT", default=300)
MODELKEEP_CONNECT_TIMEOUT = env.seconds("MODELKEEP_CONNECT_TIMEOUT", default=10)
# Seconds of silence after which a stream sends a comment: before its first byte, and most later.
MODELKEEP_FIRST_HEARTBEAT = env.seconds("MODELKEEP_FIRST_HEARTBEAT", default=10.0)
MODELKEEP_HEARTBEAT = env.seconds("MODELKEEP_HEARTBEAT", default=14.0)
# Seconds that a client may take to send headers, and a body slower than 8 KiB a second.
MODELKEEP_HEAD_TIMEOUT = env.seconds("MODELKEEP_HEAD_TIMEOUT", default=20.0)
MODELKEEP_BODY_TIMEOUT = env.seconds("MODELKEEP_BODY_TIMEOUT", default=30.0)
# MiB of long request bodies that each process holds at a time.
MODELKEEP_BODY_MEMORY = env.int("MODELKEEP_BODY_MEMORY", default=256)
# MiB of the largest file that an application may upload; four times as much may be on disk.
MODELKEEP_FILE_LIMIT = env.int("MODELKEEP_FILE_LIMIT", default=100)
# Seconds between runs of each process's cleanup of abandoned holds and of the spool.
MODELKEEP_REAPER_PERIOD = env.seconds("MODELKEEP_REAPER_PERIOD", default=60)

# Days that calls and audit entries are kept before `prune` archives and deletes them, and sessions
# and invitations after they expired; 0: for ever.
MODELKEEP_KEEP_CALL_DAYS = env.int("MODELKEEP_KEEP_CALL_DAYS", default=0)
MODELKEEP_KEEP_AUDIT_DAYS = env.int("MODELKEEP_KEEP_AUDIT_DAYS", default=0)
MODELKEEP_KEEP_SESSION_DAYS = env.int("MODELKEEP_KEEP_SESSION_DAYS", default=0)
MODELKEEP_KEEP_INVITATION_DAYS = env.int("MODELKEEP_KEEP_INVITATION_DAYS", default=0)
# Folder of the archives; DATA_DIR/archives if empty.
MODELKEEP_ARCHIVE_DIR = env.str("MODELKEEP_ARCHIVE_DIR", default="")

INSTALLED_APPS = [
    "core",
    "tenants",
    "providers",
    "models_catalog",
    "quotas",
    "gateway",
    "console.apps.ConsoleConfig",
    "console.apps.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
]
MIDDLEWARE = [
    "core.middleware.ReleaseConnectionMiddleware",
    "config.health.ProbeMiddleware",
    "core.middleware.RequestIdMiddleware",
    "core.middleware.HttpsMiddleware",
    "core.middleware.RestPathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "core.middleware.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tenants.auth.browsers.KnownBrowserMiddleware",
    "tenants.middleware.TenantMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["console.roles.OperatorBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "core.web.template_loader.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "tenants.context_processors.workspace",
            ],
        },
    }
]

DATABASES = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'modelkeep.sqlite3'}")
}
_database, _most = DATABASES["default"], env.int("DATABASE_POOL", default=10)
if _database.get("ENGINE") not in ("django.db.backends.sqlite3", "django.db.backends.postgresql"):
    raise ImproperlyConfigured(
        "DATABASE_URL must be postgresql://user:password@host:5432/name, or empty for SQLite."
    )
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA "
        "foreign_keys=ON; PRAGMA "
        "cache_size=-16000;",
    }
else:
    # ASGI threads are short-lived, so connections are pooled.
    _database["OPTIONS"] = {
        "connect_timeout": 3,  # seconds
        "pool": {
            "min_size": 1,
            "max_size": _most,
            "timeout": 5,  # seconds that a page waits for a connection
            # The pool's pauses between attempts double until then: 300 would keep pages away for
            # minutes after the database is back.
            "reconnect_timeout": 3,
        },
        **_database.get("OPTIONS", {}),  # options in the URL, such as sslmode
    }
    # A URL spells a socket directory as %2Frun%2Fpostgresql.
    _database["HOST"] = unquote(_database["HOST"] or "")
    _database["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHE_URL = env.str("CACHE_URL", default="")
CACHES = {
    "default": {"BACKEND": "core.web.cache.SharedCache", "LOCATION": CACHE_URL}
    if CACHE_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Sessions and cookies. The __Host- prefix requires https and the path "/". Under SCRIPT_NAME,
# cookies are limited to our path so that they neither leak to nor clash with the host's other
# applications.
COOKIE_PREFIX = "" if not HTTPS else "__Secure-" if FORCE_SCRIPT_NAME else "__Host-"
SESSION_ENGINE = "tenants.auth.sessions"
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}session"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = f"{FORCE_SCRIPT_NAME or ''}/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600  # absolute limit, seconds
SESSION_IDLE_LIMIT = 12 * 3600  # seconds without a request
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "tenants.auth.passwords.LongEnough", "OPTIONS": {"min_length": 10}},
    {"NAME": "tenants.auth.passwords.NotTheServersName"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# A first start uses plain http on localhost; everything that needs https depends on SITE_URL.
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin" if HTTPS else None
X_FRAME_OPTIONS = "DENY"
if TRUSTED_PROXY_HEADER:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src "
    "'self'; connect-src 'self'; "
    "media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

# Absolute, because Django would prefix a relative URL only once, with the first prefix seen.
STATIC_URL = f"{FORCE_SCRIPT_NAME or ''}/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

PASSWORD_RESET_TIMEOUT = 3600  # seconds that a link for a new password works
# Mail server for invitations and new passwords: smtp+tls://user:password@mail.example.org:587. If
# empty, inviters share links instead, and operators set new passwords.
EMAIL_URL = env.str("EMAIL_URL", default="")
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default=f"modelkeep@{_site.hostname or 'localhost'}")
EMAIL_TIMEOUT = 10  # seconds
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.api.authentication.AppKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.api.authentication.ActionPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "core.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Modelkeep REST API",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,  # docstrings are for developers
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {"ModelTypeEnum": "models_catalog.api.serializers.TYPES"},
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
}

# Prometheus sends it to /metrics, which is not there without.
MODELKEEP_METRICS_TOKEN = env.str("MODELKEEP_METRICS_TOKEN", default="")
# Where spans of calls go, by OTLP over HTTP; needs the extra otel.
OTEL_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
OTEL_HEADERS = env.str("OTEL_EXPORTER_OTLP_HEADERS", default="")
MODELKEEP_TRACE_PROVIDERS = env.bool("MODELKEEP_TRACE_PROVIDERS", default=False)
LOG_FORMAT = env.str("LOG_FORMAT", default="text")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "core.logging.lines.RequestIdFilter"}},
    "formatters": {
        "text": {"()": "core.logging.lines.TextFormatter"},
        "json": {"()": "core.logging.lines.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "core.logging.writer.LineHandler",
            "filters": ["request_id"],
            "formatter": "json" if LOG_FORMAT == "json" else "text",
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
# The key setting of django-encrypted-model-fields; derived, never set by hand.
FIELD_ENCRYPTION_KEY = field_keys_or_placeholder(MODELKEEP_MASTER_KEYS, SECRET_KEY)
# Off in tests, which generate key pairs on first use.
MODELKEEP_KEY_PAIRS_IN_BACKGROUND = True
# Processes; 0 means one per processor, at most 4.
WORKERS = env.int("WEB_CONCURRENCY", default=0) or min(os.cpu_count() or 1, 4)
# Seconds that the server serves after SIGTERM, with /readyz red, and then those for running
# requests to finish.
SHUTDOWN_DELAY = env.seconds("SHUTDOWN_DELAY", default=5, zero=True)
GRACEFUL_TIMEOUT = env.seconds("GRACEFUL_TIMEOUT", default=30)
# Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted.
FORWARDED_ALLOW_IPS = env.list("FORWARDED_ALLOW_IPS", default=["127.0.0.1", "::1"])

# What the environment may set, for the check of misspelt names.
KNOWN_VARIABLES = frozenset(env.names)
DOTENV = BASE_DIR / ".env" if READS_DOTENV else None

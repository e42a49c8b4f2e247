"""Settings of the tests: the product's own, with fixed secrets and a data folder of their own."""

import base64
import os
import tempfile

os.environ["MODELKEEP_READ_DOTENV"] = "0"
# Workers of pytest-xdist inherit the folder, and with it the RSA pairs that were made once.
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="modelkeep-test-"))
os.environ.setdefault("MODELKEEP_TEST_RUN", os.environ["DATA_DIR"])
os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
os.environ.setdefault("MODELKEEP_MASTER_KEYS", "m1:" + base64.b64encode(bytes(range(32))).decode())
os.environ.setdefault("MODELKEEP_DEMO_PROVIDER", "1")

from config.settings import *  # noqa: F403
from config.settings import DATA_DIR, DATABASES, STATIC_ROOT

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because the gateway opens it from threads of its own and the canary test reads it; it
    # need not outlive a power cut.
    DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / "test.sqlite3"}
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
MODELKEEP_KEY_PAIRS_IN_BACKGROUND = False
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # nothing is collected; WhiteNoise wants the folder

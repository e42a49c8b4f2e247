"""Settings of the tests: the product's own, with fixed secrets and a data folder of their own."""

import base64
import os
import tempfile

os.environ["MODELKEEP_READ_DOTENV"] = "0"
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="modelkeep-test-"))
os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
os.environ.setdefault("MODELKEEP_MASTER_KEYS", "m1:" + base64.b64encode(bytes(range(32))).decode())
os.environ.setdefault("MODELKEEP_DEMO_PROVIDER", "1")

from config.settings import *  # noqa: F403

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

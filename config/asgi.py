"""The server's application: /v1/... goes to the gateway, everything else to Django, in one process."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()
application = django_application

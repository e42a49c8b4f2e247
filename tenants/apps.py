"""App configuration of tenants."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = _("Workspaces and people")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Imported to register checks and signal receivers.
        from tenants import checks  # noqa: F401
        from tenants.auth import sign_in  # noqa: F401

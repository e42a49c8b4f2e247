"""App configurations: of this folder, for its commands, and of Django's admin with our site."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AppConfig):
    name = "console"

    def ready(self) -> None:
        from console import checks  # noqa: F401  (it registers itself)


class OperatorAdminConfig(AdminConfig):
    default_site = "console.site.OperatorSite"

    def ready(self) -> None:
        super().ready()
        from console import admin  # needs loaded models

        admin.register()

"""App configuration of the operators' admin site."""

from django.contrib.admin.apps import AdminConfig


class OperatorAdminConfig(AdminConfig):
    default_site = "console.site.OperatorSite"

    def ready(self) -> None:
        super().ready()
        from console import admin  # needs loaded models

        admin.register()

"""The operators' admin site."""

from django.contrib.admin.apps import AdminConfig


class OperatorAdminConfig(AdminConfig):
    default_site = "config.operations.OperatorSite"

    def ready(self) -> None:
        super().ready()
        from config import operators  # its models are ready only now

        operators.register()

"""Configuration of the model catalog app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ModelsCatalogConfig(AppConfig):
    name = "models_catalog"
    verbose_name = _("Model catalog")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from models_catalog import checks, receivers  # noqa: F401  (they register themselves)
        from models_catalog.models import TenantModel
        from providers.credentials import opening
        from tenants.crypto import keys

        keys.register_sealed(
            TenantModel,
            name=opening.MODEL_ENVELOPE,
            provider="provider",
            base_url=lambda row: opening.effective_base_url(row.provider, row.base_url),
        )

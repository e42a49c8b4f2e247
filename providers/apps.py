from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProvidersConfig(AppConfig):
    name = "providers"
    verbose_name = _("Model providers")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from providers import checks  # noqa: F401  (checks register themselves)
        from providers.credentials import opening
        from providers.models import ProviderCredential
        from tenants.crypto import keys

        keys.register_sealed(
            ProviderCredential,
            name=opening.ENVELOPE,
            provider="provider",
            base_url=lambda row: opening.effective_base_url(row.provider, row.base_url),
        )

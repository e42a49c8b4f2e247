from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class QuotasConfig(AppConfig):
    name = "quotas"
    verbose_name = _("Trials and usage")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from quotas import receivers
        from quotas.models import TrialPlan
        from quotas.trials.plans import SEALED_NAME, effective_base_url
        from tenants.crypto import keys
        from tenants.services.workspaces import system_tenant

        receivers.connect()
        keys.register_sealed(
            TrialPlan,
            name=SEALED_NAME,
            provider="provider",
            base_url=effective_base_url,
            tenant_id=lambda plan: system_tenant().pk,
            subject=lambda plan: f"plan:{plan.slug}",
        )

"""Addresses of models and default models inside a workspace."""

from django.urls import include, path

from models_catalog.listing import views as listing_views
from models_catalog.views import defaults, models, setup

provider_patterns = [
    path("", models.provider_models, name="provider-models"),
    path("setup/", setup.provider_setup, name="provider-setup"),
    path("models/add/", models.model_add, name="model-add"),
    path("models/bulk/", models.models_bulk, name="models-bulk"),
    path("models/refresh/", models.models_refresh, name="models-refresh"),
    path("models/<path:model>/toggle/", models.model_toggle, name="model-toggle"),
    path("models/<path:model>/test/", models.model_test, name="model-test"),
    path("models/<path:model>/delete/", models.model_delete, name="model-delete"),
    path("models/<path:model>/", models.model_detail, name="model-detail"),
]
urlpatterns = [
    path("models/", listing_views.models, name="models"),
    path("settings/model-providers/<slug:provider>/", include(provider_patterns)),
    path("settings/default-models/", defaults.default_models, name="default-models"),
    path(
        "settings/default-models/<slug:scenario>/test/", defaults.default_test, name="default-test"
    ),
]

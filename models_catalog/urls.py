"""Addresses of models and default models inside a workspace."""

from django.urls import include, path

from models_catalog import views, views_listing

provider_patterns = [
    path("", views.provider_models, name="provider-models"),
    path("setup/", views.provider_setup, name="provider-setup"),
    path("models/add/", views.model_add, name="model-add"),
    path("models/bulk/", views.models_bulk, name="models-bulk"),
    path("models/refresh/", views.models_refresh, name="models-refresh"),
    path("models/<path:model>/toggle/", views.model_toggle, name="model-toggle"),
    path("models/<path:model>/test/", views.model_test, name="model-test"),
    path("models/<path:model>/delete/", views.model_delete, name="model-delete"),
    path("models/<path:model>/", views.model_detail, name="model-detail"),
]
urlpatterns = [
    path("models/", views_listing.models, name="models"),
    path("settings/model-providers/<slug:provider>/", include(provider_patterns)),
    path("settings/default-models/", views.default_models, name="default-models"),
    path("settings/default-models/<slug:scenario>/test/", views.default_test, name="default-test"),
]

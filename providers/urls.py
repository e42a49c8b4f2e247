"""URLs of providers and credentials in a workspace."""

from django.urls import include, path

from providers import views
from providers.imports import views as import_views

credential_patterns = [
    path("", views.provider_credentials, name="provider-credentials"),
    path("order/", views.source_order, name="source-order"),
    path("<uuid:credential_id>/edit/", views.credential_edit, name="credential-edit"),
    path("<uuid:credential_id>/rename/", views.credential_rename, name="credential-rename"),
    path("<uuid:credential_id>/test/", views.credential_test, name="credential-test"),
    path("<uuid:credential_id>/activate/", views.credential_activate, name="credential-activate"),
    path("<uuid:credential_id>/move/", views.credential_move, name="credential-move"),
    path("<uuid:credential_id>/delete/", views.credential_delete, name="credential-delete"),
]
urlpatterns = [
    path("settings/model-providers/", views.provider_list, name="provider-list"),
    path(
        "settings/model-providers/import/", import_views.credential_import, name="credential-import"
    ),
    path("settings/model-providers/<slug:provider>/credentials/", include(credential_patterns)),
]

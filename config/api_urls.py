"""URL patterns of the REST API. Its paths may end with a slash too (RestPathMiddleware)."""

from django.urls import path, re_path

from core.api import openapi
from models_catalog.api import defaults, models
from providers.api import credentials, providers
from quotas import api as quotas
from tenants.api import app_keys, audit, members, workspace

PROVIDER = "v1/providers/<slug:provider>"
CREDENTIAL = f"{PROVIDER}/credentials/<uuid:pk>"

urlpatterns = [
    path("schema/", openapi.schema, name="api-schema"),
    path("docs/", openapi.docs, name="api-docs"),
    path("v1/providers", providers.ProvidersView.as_view()),
    path(PROVIDER, providers.ProviderView.as_view()),
    path(f"{PROVIDER}/source-order", providers.SourceOrderView.as_view()),
    path(f"{PROVIDER}/refresh", models.RefreshView.as_view()),
    path(f"{PROVIDER}/models", models.ProviderModelsView.as_view()),
    path(f"{PROVIDER}/credentials", credentials.CredentialsView.as_view()),
    path(f"{PROVIDER}/credential-order", credentials.CredentialOrderView.as_view()),
    path(CREDENTIAL, credentials.CredentialView.as_view()),
    path(f"{CREDENTIAL}/check", credentials.CredentialCheckView.as_view()),
    path(f"{CREDENTIAL}/activate", credentials.CredentialActivateView.as_view()),
    path("v1/models", models.ModelsView.as_view()),
    # Model names can contain slashes: owner/name.
    path("v1/models/<slug:provider>/<path:model>", models.ModelView.as_view()),
    path("v1/default-models", defaults.DefaultsView.as_view()),
    path("v1/default-models/<slug:scenario>", defaults.DefaultView.as_view()),
    path("v1/trials", quotas.TrialsView.as_view()),
    path("v1/usage/calls", quotas.CallsView.as_view()),
    path("v1/usage/calls/<uuid:pk>", quotas.CallView.as_view()),
    path("v1/usage/summary", quotas.SummaryView.as_view()),
    path("v1/workspace", workspace.WorkspaceView.as_view()),
    path("v1/members", members.MembersView.as_view()),
    path("v1/members/<int:pk>", members.MemberView.as_view()),
    path("v1/invitations", members.InvitationsView.as_view()),
    path("v1/invitations/<uuid:pk>", members.InvitationView.as_view()),
    path("v1/app-keys", app_keys.AppKeysView.as_view()),
    path("v1/app-keys/<uuid:pk>", app_keys.AppKeyView.as_view()),
    path("v1/app-keys/<uuid:pk>/rotate", app_keys.AppKeyRotateView.as_view()),
    path("v1/audit", audit.AuditView.as_view()),
    re_path(r"^(?:v1/?.*)?$", openapi.unknown_path),
]

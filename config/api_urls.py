"""The REST API's paths."""

from django.urls import path, re_path

from config import rest
from models_catalog import api as models_catalog
from providers import api as providers
from quotas import api as quotas
from tenants import workspace_api as workspace

PROVIDER = "v1/providers/<slug:provider>/"
CREDENTIAL = f"{PROVIDER}credentials/<uuid:pk>/"

urlpatterns = [
    path("schema/", rest.schema, name="api-schema"),
    path("docs/", rest.docs, name="api-docs"),
    path("v1/providers/", providers.ProvidersView.as_view()),
    path(PROVIDER, providers.ProviderView.as_view()),
    path(f"{PROVIDER}source-order/", providers.SourceOrderView.as_view()),
    path(f"{PROVIDER}refresh/", models_catalog.RefreshView.as_view()),
    path(f"{PROVIDER}models/", models_catalog.ProviderModelsView.as_view()),
    path(f"{PROVIDER}credentials/", providers.CredentialsView.as_view()),
    path(f"{PROVIDER}credential-order/", providers.CredentialOrderView.as_view()),
    path(CREDENTIAL, providers.CredentialView.as_view()),
    path(f"{CREDENTIAL}check/", providers.CredentialCheckView.as_view()),
    path(f"{CREDENTIAL}activate/", providers.CredentialActivateView.as_view()),
    path("v1/models/", models_catalog.ModelsView.as_view()),
    # Names of models hold slashes: owner/name.
    path("v1/models/<slug:provider>/<path:model>/", models_catalog.ModelView.as_view()),
    path("v1/default-models/", models_catalog.DefaultsView.as_view()),
    path("v1/default-models/<slug:scenario>/", models_catalog.DefaultView.as_view()),
    path("v1/trials/", quotas.TrialsView.as_view()),
    path("v1/usage/calls/", quotas.CallsView.as_view()),
    path("v1/usage/calls/<uuid:pk>/", quotas.CallView.as_view()),
    path("v1/usage/summary/", quotas.SummaryView.as_view()),
    path("v1/workspace/", workspace.WorkspaceView.as_view()),
    path("v1/members/", workspace.MembersView.as_view()),
    path("v1/members/<int:pk>/", workspace.MemberView.as_view()),
    path("v1/invitations/", workspace.InvitationsView.as_view()),
    path("v1/invitations/<uuid:pk>/", workspace.InvitationView.as_view()),
    path("v1/app-keys/", workspace.AppKeysView.as_view()),
    path("v1/app-keys/<uuid:pk>/", workspace.AppKeyView.as_view()),
    path("v1/app-keys/<uuid:pk>/rotate/", workspace.AppKeyRotateView.as_view()),
    path("v1/audit/", workspace.AuditView.as_view()),
    re_path(r"^(?:v1/?.*)?$", rest.unknown_path),
]

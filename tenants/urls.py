"""Addresses of people, and of a workspace's people and access."""

from django.contrib.auth.views import LogoutView
from django.urls import include, path

from tenants import views, views_audit, views_settings
from tenants import views_workspace as inside

settings_patterns = [
    path("members/", inside.members, name="members"),
    path("members/invite/", inside.member_invite, name="member-invite"),
    path("members/invitations/<uuid:invitation_id>/revoke/", inside.invitation_revoke, name="invitation-revoke"),
    path("members/<int:membership_id>/role/", inside.member_role, name="member-role"),
    path("members/<int:membership_id>/remove/", inside.member_remove, name="member-remove"),
    path("app-keys/", inside.app_keys, name="app-keys"),
    path("app-keys/new/", inside.app_key_new, name="app-key-new"),
    path("app-keys/<uuid:app_key_id>/revoke/", inside.app_key_revoke, name="app-key-revoke"),
    path("app-keys/<uuid:app_key_id>/rotate/", inside.app_key_rotate, name="app-key-rotate"),
    path("audit/", views_audit.audit, name="audit"),
    path("audit/export.csv", views_audit.audit_export, name="audit-export"),
    path("workspace/", views_settings.workspace, name="workspace"),
    path("workspace/key-pair/rotate/", views_settings.key_pair_rotate, name="key-pair-rotate"),
    path("workspace/key-pair/progress/", views_settings.key_pair_progress, name="key-pair-progress"),
    path("workspace/leave/", views_settings.workspace_leave, name="workspace-leave"),
    path("workspace/close/", views_settings.workspace_close, name="workspace-close"),
]
urlpatterns = [
    path("", views.home, name="home"),
    path("workspaces/", views.workspace_list, name="workspace-list"),
    path("accounts/login/", views.SignIn.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/profile/", views.profile, name="profile"),
    path("accounts/password_change/", views.change_password, name="password-change"),
    path("accounts/sign_out_elsewhere/", views.sign_out_elsewhere, name="sign-out-elsewhere"),
    path("accounts/theme/", views.set_theme, name="set-theme"),
    path("accounts/language/", views.change_language, name="set_language"),
    path("accounts/invite/<str:token>/", views.accept_invitation, name="invite"),
    path("t/<slug:workspace>/settings/", include(settings_patterns)),
]

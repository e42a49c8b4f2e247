"""Addresses of people, and of a workspace's people and access."""

from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.i18n import set_language

from tenants import views
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
    path("audit/", inside.audit, name="audit"),
]
urlpatterns = [
    path("", views.home, name="home"),
    path("workspaces/", views.workspace_list, name="workspace-list"),
    path("accounts/login/", views.SignIn.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/profile/", views.profile, name="profile"),
    path("accounts/password_change/", views.change_password, name="password-change"),
    path("accounts/theme/", views.set_theme, name="set-theme"),
    path("accounts/language/", set_language, name="set_language"),
    path("accounts/invite/<str:token>/", views.accept_invitation, name="invite"),
    path("t/<slug:workspace>/settings/", include(settings_patterns)),
]

"""URLs of accounts and of workspace settings."""

from django.contrib.auth.views import LogoutView
from django.urls import include, path

from tenants.views import account, app_keys, audit, members, passwords, settings

settings_patterns = [
    path("members/", members.members, name="members"),
    path("members/invite/", members.member_invite, name="member-invite"),
    path(
        "members/invitations/<uuid:invitation_id>/revoke/",
        members.invitation_revoke,
        name="invitation-revoke",
    ),
    path("members/<int:membership_id>/role/", members.member_role, name="member-role"),
    path("members/<int:membership_id>/rates/", members.member_rates, name="member-rates"),
    path("members/<int:membership_id>/remove/", members.member_remove, name="member-remove"),
    path("app-keys/", app_keys.app_keys, name="app-keys"),
    path("app-keys/connect/", app_keys.connect, name="app-key-connect"),
    path("app-keys/new/", app_keys.app_key_new, name="app-key-new"),
    path("app-keys/<uuid:app_key_id>/", app_keys.app_key_change, name="app-key-change"),
    path("app-keys/<uuid:app_key_id>/revoke/", app_keys.app_key_revoke, name="app-key-revoke"),
    path("app-keys/<uuid:app_key_id>/rotate/", app_keys.app_key_rotate, name="app-key-rotate"),
    path("audit/", audit.audit, name="audit"),
    path("audit/export.csv", audit.audit_export, name="audit-export"),
    path("workspace/", settings.workspace, name="workspace"),
    path("workspace/key-pair/rotate/", settings.key_pair_rotate, name="key-pair-rotate"),
    path("workspace/key-pair/progress/", settings.key_pair_progress, name="key-pair-progress"),
    path("workspace/leave/", settings.workspace_leave, name="workspace-leave"),
    path("workspace/close/", settings.workspace_close, name="workspace-close"),
]
urlpatterns = [
    path("", account.home, name="home"),
    path("workspaces/", account.workspace_list, name="workspace-list"),
    path("accounts/login/", account.SignIn.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/profile/", account.profile, name="profile"),
    path("accounts/password_change/", passwords.change_password, name="password-change"),
    path("accounts/password_reset/", passwords.forgotten_password, name="password-reset"),
    path(
        "accounts/password_reset/<str:uid>/<str:token>/",
        passwords.open_reset_link,
        name="password-reset-link",
    ),
    path("accounts/password_reset/new/", passwords.reset_password, name="password-reset-new"),
    path("accounts/sign_out_elsewhere/", account.sign_out_elsewhere, name="sign-out-elsewhere"),
    path("accounts/theme/", account.set_theme, name="set-theme"),
    path("accounts/language/", account.change_language, name="set_language"),
    path("accounts/invite/<str:token>/", account.accept_invitation, name="invite"),
    path("t/<slug:workspace>/settings/", include(settings_patterns)),
]

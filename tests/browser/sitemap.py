"""Every page in every state worth looking at: one line each. The browser sweep, the fast layer and
the pictures read this table.

A new route needs a line here, or a reason in NO_PAGE; tests/browser/test_sitemap.py names the
routes that have neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

ACME, FRESH, LONG, HUGE, STATES, SPENT = (
    "/t/acme",
    "/t/fresh",
    "/t/long",
    "/t/huge",
    "/t/states",
    "/t/spent",
)
PROVIDERS = "settings/model-providers"


@dataclass(frozen=True)
class Row:
    """One page in one state.

    path: may hold {names} of ids that world.Keeper.make gave for `space`. space: whose owner looks;
    "" is nobody, "viewer" a viewer of acme. act: what is done on the page before it is looked at
    (tests/browser/acts.py). status: what the page answers. elements: the most that the page may
    have. walk: whether the way through it by Tab is walked. secret: no cache may keep it.
    """

    name: str
    path: str
    space: str = "acme"
    act: str = ""
    status: int = 200
    elements: int = 1500
    walk: bool = False
    secret: bool = False

    @property
    def is_operators(self) -> bool:
        """Django's own pages: what they are built of is not ours."""
        return self.path.startswith("/admin/")

    def url(self, ids: Mapping[str, str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], self.path)


def page(name: str, path: str, **more: object) -> Row:
    """A page of a kind: its way by Tab is walked."""
    return Row(name, path, walk=True, **more)  # type: ignore[arg-type]


SITEMAP: tuple[Row, ...] = (
    # At the door.
    page("sign-in", "/accounts/login/", space=""),
    Row("sign-in wrong", "/accounts/login/", space="", act="wrong_password"),
    Row("sign-in empty", "/accounts/login/", space="", act="submit_empty"),
    Row("sign-in throttled", "/accounts/login/", space="", act="sign_in_too_often"),
    Row("sign-in expired", "/accounts/login/", space="", act="lose_token"),
    page("forgotten password", "/accounts/password_reset/", space=""),
    Row("used link", "/accounts/password_reset/new/", space="", status=404),
    page("invitation", "/accounts/invite/{token}/", space="", secret=True),
    Row("invitation short password", "/accounts/invite/{token}/", space="", act="short_password"),
    Row("invitation of another", "/accounts/invite/{token}/"),
    Row("invitation gone", "/accounts/invite/nothing/", space="", status=404),
    # A person's own.
    page("workspaces", "/workspaces/"),
    page("profile", "/accounts/profile/", secret=True),
    Row("password wrong", "/accounts/profile/", act="submit_wrong_passwords"),
    # Overview.
    page("overview", f"{ACME}/", secret=True),
    Row("overview empty", f"{FRESH}/"),
    Row("overview long", f"{LONG}/", space="long"),
    Row("overview viewer", f"{ACME}/", space="viewer"),
    # Model providers.
    page("providers", f"{ACME}/{PROVIDERS}/", secret=True),
    Row("providers empty", f"{FRESH}/{PROVIDERS}/"),
    Row("providers none found", f"{ACME}/{PROVIDERS}/?q=zzzz"),
    Row("providers long", f"{LONG}/{PROVIDERS}/", space="long"),
    Row("providers viewer", f"{ACME}/{PROVIDERS}/", space="viewer"),
    Row("providers spent", f"{SPENT}/{PROVIDERS}/", space="spent"),
    page("setup own", f"{ACME}/{PROVIDERS}/openai/setup/"),
    Row("setup own refused", f"{FRESH}/{PROVIDERS}/openai/setup/", act="type_foreign_key"),
    Row("setup own unsent", f"{FRESH}/{PROVIDERS}/openai/setup/", act="submit_empty"),
    page("setup hosting", f"{FRESH}/{PROVIDERS}/openai_compatible/setup/"),
    Row(
        "setup hosting refused",
        f"{FRESH}/{PROVIDERS}/openai_compatible/setup/",
        act="type_private_address",
    ),
    Row("setup demo", f"{FRESH}/{PROVIDERS}/demo/setup/"),
    Row("setup azure", f"{FRESH}/{PROVIDERS}/azure_openai/setup/"),
    Row("setup hugging face", f"{FRESH}/{PROVIDERS}/huggingface_hub/setup/"),
    Row("setup spark", f"{FRESH}/{PROVIDERS}/spark/setup/"),
    Row("setup tongyi", f"{FRESH}/{PROVIDERS}/tongyi/setup/"),
    Row("setup forbidden", f"{ACME}/{PROVIDERS}/openai/setup/", space="viewer", status=403),
    Row("setup dialog", f"{FRESH}/{PROVIDERS}/", act="open_dialog"),
    Row("setup dialog refused", f"{FRESH}/{PROVIDERS}/", act="refuse_in_dialog"),
    Row("setup dialog long", f"{FRESH}/{PROVIDERS}/", act="open_long_dialog"),
    page("import", f"{ACME}/{PROVIDERS}/import/"),
    Row("import previewed", f"{FRESH}/{PROVIDERS}/import/", act="preview_import"),
    Row("import of nothing", f"{ACME}/{PROVIDERS}/import/", act="preview_nothing"),
    # Credentials.
    page("credentials", f"{ACME}/{PROVIDERS}/openai/credentials/", secret=True),
    Row("credentials empty", f"{ACME}/{PROVIDERS}/chatglm/credentials/"),
    Row("credentials long", f"{LONG}/{PROVIDERS}/openai/credentials/", space="long"),
    Row("credentials many", f"{HUGE}/{PROVIDERS}/openai/credentials/", space="huge"),
    Row("credentials spent", f"{SPENT}/{PROVIDERS}/deepseek/credentials/", space="spent"),
    Row("credentials of a spent trial", f"{SPENT}/{PROVIDERS}/openai/credentials/", space="spent"),
    page(
        "credential edit",
        f"{ACME}/{PROVIDERS}/openai/credentials/{{credential}}/edit/",
        secret=True,
    ),
    Row(
        "credential edit wrong",
        f"{ACME}/{PROVIDERS}/openai/credentials/{{credential}}/edit/",
        act="take_a_name",
        secret=True,
    ),
    Row(
        "credential delete last",
        f"{ACME}/{PROVIDERS}/demo/credentials/{{only}}/delete/",
        secret=True,
    ),
    page(
        "credential delete",
        f"{ACME}/{PROVIDERS}/openai/credentials/{{credential}}/delete/",
        secret=True,
    ),
    Row(
        "credential delete long",
        f"{LONG}/{PROVIDERS}/openai/credentials/{{credential}}/delete/",
        space="long",
    ),
    # Models.
    page("models", f"{ACME}/{PROVIDERS}/openai/", secret=True),
    Row("models empty", f"{FRESH}/{PROVIDERS}/openai_compatible/"),
    Row("models none found", f"{ACME}/{PROVIDERS}/openai/?q=zzzz"),
    Row("models long", f"{LONG}/{PROVIDERS}/openai_compatible/", space="long"),
    Row("models 500", f"{HUGE}/{PROVIDERS}/openai_compatible/", space="huge"),
    Row("models 500 last", f"{HUGE}/{PROVIDERS}/openai_compatible/?page=10", space="huge"),
    page("activity", f"{ACME}/{PROVIDERS}/openai/activity/", secret=True),
    Row("activity empty", f"{FRESH}/{PROVIDERS}/openai/activity/"),
    Row("activity long", f"{LONG}/{PROVIDERS}/openai_compatible/activity/", space="long"),
    Row("activity 500", f"{HUGE}/{PROVIDERS}/openai_compatible/activity/", space="huge"),
    Row("activity viewer", f"{ACME}/{PROVIDERS}/demo/activity/", space="viewer"),
    page("model add", f"{ACME}/{PROVIDERS}/openai_compatible/models/add/"),
    Row(
        "model add unsent", f"{ACME}/{PROVIDERS}/openai_compatible/models/add/", act="submit_empty"
    ),
    page("model", f"{ACME}/{PROVIDERS}/openai/models/gpt-4o-mini/"),
    Row("model long", f"{LONG}/{PROVIDERS}/openai_compatible/models/{{model}}/", space="long"),
    page(
        "model delete",
        f"{HUGE}/{PROVIDERS}/openai_compatible/models/family-1/model-001-instruct/delete/",
        space="huge",
    ),
    page("all models", f"{ACME}/models/", secret=True),
    Row("all models empty", f"{FRESH}/models/"),
    Row("all models none found", f"{ACME}/models/?q=zzzz"),
    Row("all models blocked", f"{ACME}/models/?state=blocked"),
    Row("all models long", f"{LONG}/models/", space="long"),
    Row("all models 500", f"{HUGE}/models/", space="huge"),
    Row("all models viewer", f"{ACME}/models/", space="viewer"),
    # Default models.
    page("defaults", f"{ACME}/settings/default-models/"),
    Row("defaults spent", f"{SPENT}/settings/default-models/", space="spent"),
    Row("defaults empty", f"{FRESH}/settings/default-models/"),
    Row("defaults long", f"{LONG}/settings/default-models/", space="long"),
    Row("defaults 500", f"{HUGE}/settings/default-models/", space="huge"),
    # People and keys.
    page("members", f"{ACME}/settings/members/", secret=True),
    Row("members long", f"{LONG}/settings/members/", space="long"),
    Row("members many", f"{HUGE}/settings/members/", space="huge"),
    Row("members states", f"{STATES}/settings/members/", space="states"),
    page("member invite", f"{ACME}/settings/members/invite/"),
    Row("member invite unsent", f"{ACME}/settings/members/invite/", act="submit_empty"),
    Row("member invited", f"{STATES}/settings/members/invite/", space="states", act="invite"),
    page("member rates", f"{ACME}/settings/members/{{membership}}/rates/"),
    page("member remove", f"{ACME}/settings/members/{{membership}}/remove/"),
    page("app keys", f"{ACME}/settings/app-keys/", secret=True),
    Row("app keys empty", f"{FRESH}/settings/app-keys/"),
    Row("app keys long", f"{LONG}/settings/app-keys/", space="long"),
    Row("app keys many", f"{HUGE}/settings/app-keys/", space="huge"),
    Row("app keys states", f"{STATES}/settings/app-keys/", space="states"),
    page("app key connect", f"{ACME}/settings/app-keys/connect/"),
    page("app key new", f"{ACME}/settings/app-keys/new/"),
    Row("app key new unsent", f"{ACME}/settings/app-keys/new/", act="submit_empty"),
    Row("app key shown", f"{STATES}/settings/app-keys/new/", space="states", act="make_app_key"),
    page("app key change", f"{ACME}/settings/app-keys/{{app_key}}/"),
    page("app key rotate", f"{ACME}/settings/app-keys/{{app_key}}/rotate/"),
    page("app key revoke", f"{ACME}/settings/app-keys/{{app_key}}/revoke/"),
    page("workspace", f"{ACME}/settings/workspace/", secret=True),
    Row("workspace long", f"{LONG}/settings/workspace/", space="long"),
    Row("workspace viewer", f"{ACME}/settings/workspace/", space="viewer"),
    Row("workspace taken", f"{ACME}/settings/workspace/", act="take_address"),
    Row("workspace rotating", f"{STATES}/settings/workspace/", space="states"),
    page("key pair", f"{ACME}/settings/workspace/key-pair/rotate/"),
    page("workspace leave", f"{ACME}/settings/workspace/leave/"),
    page("workspace close", f"{ACME}/settings/workspace/close/"),
    Row("workspace close wrong", f"{ACME}/settings/workspace/close/", act="type_wrong_name"),
    page("audit", f"{ACME}/settings/audit/", secret=True),
    Row("audit fresh", f"{FRESH}/settings/audit/"),
    Row("audit states", f"{STATES}/settings/audit/", space="states"),
    Row("audit none found", f"{ACME}/settings/audit/?q=zzzz"),
    # Usage.
    page("usage", f"{ACME}/usage/"),
    Row("usage empty", f"{FRESH}/usage/"),
    Row("usage long", f"{LONG}/usage/", space="long"),
    Row("usage 400 models", f"{HUGE}/usage/", space="huge"),
    Row("usage today", f"{ACME}/usage/?days=1"),
    Row("usage filtered", f"{ACME}/usage/?provider=demo&by=source"),
    Row("usage none found", f"{ACME}/usage/?provider=minimax"),
    Row("usage as table", f"{ACME}/usage/?days=7&by=app_key", act="show_as_table"),
    Row("usage by member", f"{ACME}/usage/?by=member"),
    page("calls", f"{ACME}/usage/calls/"),
    Row("calls empty", f"{FRESH}/usage/calls/"),
    Row("calls errors", f"{ACME}/usage/calls/?status=error"),
    Row("calls long", f"{LONG}/usage/calls/", space="long"),
    page("call", f"{ACME}/usage/calls/{{call}}/"),
    Row("call failed", f"{ACME}/usage/calls/{{failed_call}}/"),
    Row("call long", f"{LONG}/usage/calls/{{call}}/", space="long"),
    # Playground.
    page("playground", f"{ACME}/playground/"),
    Row("playground empty", f"{FRESH}/playground/"),
    Row("playground long", f"{LONG}/playground/", space="long"),
    # 500 models stand in two lists, beside the settings of 18 applications.
    Row("playground 500", f"{HUGE}/playground/", space="huge"),
    Row("playground answered", f"{ACME}/playground/?model=demo/demo-chat", act="chat"),
    Row("playground wrong tools", f"{ACME}/playground/?model=demo/demo-chat", act="mistype_tools"),
    Row("playground clients", f"{ACME}/playground/?model=demo/demo-chat", act="show_clients"),
    page("embeddings", f"{ACME}/playground/embeddings/"),
    Row("embeddings empty", f"{FRESH}/playground/embeddings/"),
    Row(
        "embeddings answered",
        f"{ACME}/playground/embeddings/?model=demo/demo-embedding",
        act="embed",
    ),
    page("speech", f"{ACME}/playground/speech/"),
    Row("speech empty", f"{FRESH}/playground/speech/"),
    Row("speech answered", f"{ACME}/playground/speech/?model=demo/demo-transcribe", act="hear"),
    page("images", f"{ACME}/playground/images/"),
    Row("images empty", f"{FRESH}/playground/images/"),
    Row("images answered", f"{ACME}/playground/images/?model=demo/demo-image", act="draw"),
    Row("images edited", f"{ACME}/playground/images/?model=demo/demo-image", act="edit"),
    page("rerank", f"{ACME}/playground/rerank/"),
    Row("rerank empty", f"{FRESH}/playground/rerank/"),
    Row("rerank answered", f"{ACME}/playground/rerank/?model=demo/demo-rerank", act="rerank"),
    # Help.
    page("help", "/help/"),
    Row("help for nobody", "/help/", space=""),
    Row("help found", "/help/?q=key"),
    Row("help none found", "/help/?q=zzzz"),
    page("help provider", "/help/providers/openai/"),
    page("help first steps", "/help/start/"),
    page("help clients", "/help/clients/"),
    # Errors, operators, the API's description.
    Row("not found", "/t/nowhere/", status=404),
    Row("not found for nobody", "/no-such-page/", space="", status=404),
    Row("admin", "/admin/"),
    Row("admin workspaces", "/admin/tenants/tenant/"),
    Row("admin calls", "/admin/quotas/callrecord/"),
    Row("admin plan", "/admin/quotas/trialplan/add/"),
    Row("admin plan retired", "/admin/quotas/trialplan/{plan}/change/"),
    Row("admin plans", "/admin/quotas/trialplan/"),
    Row("admin credits", "/admin/quotas/creditpool/"),
    Row("admin credits of one", "/admin/quotas/creditpool/{pool}/change/"),
    Row("admin credits grant", "/admin/quotas/creditpool/", act="ask_grant_credits"),
    Row("admin credits fill up", "/admin/quotas/creditpool/", act="ask_reset"),
    Row("admin holds", "/admin/quotas/hold/"),
    Row("admin call", "/admin/quotas/callrecord/{call}/change/"),
    Row("admin workspace", "/admin/tenants/tenant/{tenant}/change/"),
    Row("admin workspace new", "/admin/tenants/tenant/add/"),
    Row("admin workspaces suspend", "/admin/tenants/tenant/", act="ask_suspend"),
    Row("admin workspaces rotate", "/admin/tenants/tenant/", act="ask_rotate_key_pair"),
    Row("admin workspaces grant", "/admin/tenants/tenant/", act="ask_grant_trial"),
    Row("admin people", "/admin/tenants/user/"),
    Row("admin person", "/admin/tenants/user/{person}/change/"),
    Row("admin person new", "/admin/tenants/user/add/"),
    Row("admin people deactivate", "/admin/tenants/user/", act="ask_deactivate"),
    Row("admin app keys", "/admin/tenants/appkey/"),
    Row("admin app key", "/admin/tenants/appkey/{app_key}/change/"),
    Row("admin app keys revoke", "/admin/tenants/appkey/", act="ask_revoke"),
    Row("admin key pairs", "/admin/tenants/keypair/"),
    Row("admin key pair", "/admin/tenants/keypair/{key_pair}/change/"),
    Row("admin audit", "/admin/tenants/auditentry/"),
    Row("admin audit entry", "/admin/tenants/auditentry/{audit_entry}/change/"),
    Row("admin credentials", "/admin/providers/providercredential/"),
    Row("admin credential", "/admin/providers/providercredential/{credential}/change/"),
    Row("admin models", "/admin/models_catalog/tenantmodel/"),
    Row("admin models off", "/admin/models_catalog/tenantmodel/", act="ask_disable"),
    Row("admin models default", "/admin/models_catalog/tenantmodel/", act="ask_make_default"),
    Row("admin defaults", "/admin/models_catalog/defaultmodel/"),
    Row("admin snapshots", "/admin/models_catalog/catalogsnapshot/"),
    page("api", "/api/docs/", space="", elements=9000),
    page("api of models", "/v1/docs/", space="", elements=10_000),
)

# Routes that show no page of their own, each with the reason.
NO_PAGE: dict[str, str] = {
    "/": "leads on",
    "/accounts/logout/": "POST only",
    "/accounts/password_change/": "only with a first password",
    "/accounts/password_reset/{uid}/{token}/": "leads on",
    "/accounts/password_reset/new/": "only behind a link",
    "/accounts/theme/": "POST only",
    "/accounts/language/": "POST only",
    "/accounts/sign_out_elsewhere/": "POST only",
    "/t/{workspace}/settings/audit/export.csv": "a file",
    "/t/{workspace}/usage/export.csv": "a file",
    "/t/{workspace}/usage/calls/export.csv": "a file",
    "/t/{workspace}/playground/clients/": "a part of the playground",
    "/t/{workspace}/playground/render/": "a part of the playground",
    "/t/{workspace}/playground/call/{operation}/": "a part of the playground",
    "/t/{workspace}/settings/workspace/key-pair/progress/": "a part of the page of the key pair",
    "/t/{workspace}/settings/members/invitations/{invitation_id}/revoke/": "POST only",
    "/t/{workspace}/settings/members/{membership_id}/role/": "POST only",
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/credentials/order/": "POST only",
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/credentials/{{credential_id}}/rename/": "POST only",
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/credentials/{{credential_id}}/test/": "POST only",
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/credentials/{{credential_id}}/activate/": (
        "POST only"
    ),
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/credentials/{{credential_id}}/move/": "POST only",
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/models/bulk/": "POST only",
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/models/refresh/": "POST only",
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/models/{{model}}/toggle/": "POST only",
    f"/t/{{workspace}}/{PROVIDERS}/{{provider}}/models/{{model}}/test/": "POST only",
    "/t/{workspace}/settings/default-models/{scenario}/test/": "POST only",
}

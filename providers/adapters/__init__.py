"""One file per provider that is more than a row; each ends in PROVIDER = Provider(...).

Adapters are data and small pure functions. The one thing of Django they import is `gettext_lazy`
for labels and help texts (`django.utils.translation` needs no settings and no app to be imported,
and a lazy text is translated when a page is rendered). providers.wire, providers.transport.steps
and providers.transport.egress import nothing of Django at all. The import contract "pure" says the
same.
"""

"""The root URL configuration, the only module that mounts apps."""

from django.contrib import admin
from django.urls import include, path

from gateway.dataplane.requests.addresses import DOCUMENT, REFERENCE
from gateway.openapi import views as openapi
from help import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("config.api_urls")),
    path(DOCUMENT.removeprefix("/"), openapi.schema, name="v1-schema"),
    path(REFERENCE.removeprefix("/"), openapi.docs, name="v1-docs"),
    path("help/", views.index, name="help"),
    path("help/providers/<slug:slug>/", views.provider, name="help-provider"),
    path("help/<slug:slug>/", views.topic, name="help-page"),
    path("", include("tenants.urls")),
    path("t/<slug:workspace>/", include("providers.urls")),
    path("t/<slug:workspace>/", include("models_catalog.urls")),
    path("t/<slug:workspace>/", include("quotas.urls")),
    path("t/<slug:workspace>/", include("gateway.urls")),
]
handler500 = "core.web.errors.server_error"

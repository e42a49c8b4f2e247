"""The only module that mounts apps."""

from django.contrib import admin
from django.urls import include, path

from config import help_views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("config.api_urls")),
    path("help/", help_views.index, name="help"),
    path("help/providers/<slug:slug>/", help_views.provider, name="help-provider"),
    path("help/<slug:slug>/", help_views.topic, name="help-page"),
    path("", include("tenants.urls")),
    path("t/<slug:workspace>/", include("providers.urls")),
    path("t/<slug:workspace>/", include("models_catalog.urls")),
    path("t/<slug:workspace>/", include("quotas.urls")),
    path("t/<slug:workspace>/", include("gateway.urls")),
]
handler500 = "config.errors.server_error"

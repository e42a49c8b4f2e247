"""The only module that mounts apps."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("config.api_urls")),
    path("", include("tenants.urls")),
    path("t/<slug:workspace>/", include("providers.urls")),
    path("t/<slug:workspace>/", include("models_catalog.urls")),
    path("t/<slug:workspace>/", include("quotas.urls")),
    path("t/<slug:workspace>/", include("gateway.urls")),
]
handler500 = "config.errors.server_error"

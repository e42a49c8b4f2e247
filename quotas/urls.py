"""Addresses of usage inside a workspace."""

from django.urls import path

from quotas import views

urlpatterns = [
    path("usage/", views.usage, name="usage"),
    path("usage/export.csv", views.usage_export, name="usage-export"),
    path("usage/calls/", views.usage_calls, name="usage-calls"),
    path("usage/calls/export.csv", views.usage_calls_export, name="usage-calls-export"),
    path("usage/calls/<uuid:call_id>/", views.usage_call, name="usage-call"),
]

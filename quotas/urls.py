"""Addresses of usage inside a workspace."""

from django.urls import path

from quotas import views

urlpatterns = [
    path("usage/", views.usage, name="usage"),
    path("usage/calls/", views.usage_calls, name="usage-calls"),
]

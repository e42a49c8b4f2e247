"""Addresses of the workspace's first page."""

from django.urls import path

from gateway import views

urlpatterns = [path("", views.overview, name="overview")]

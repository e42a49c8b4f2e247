"""The REST API's paths."""

urlpatterns: list = []

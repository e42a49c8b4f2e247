"""URLs of the overview, the provider activity page and the playground."""

from django.urls import path

from gateway.dashboard import views
from gateway.playground import image_views
from gateway.playground import views as playground

urlpatterns = [
    path("", views.overview, name="overview"),
    path(
        "settings/model-providers/<slug:provider>/activity/",
        views.provider_activity,
        name="provider-activity",
    ),
    path("playground/", playground.chat, name="playground"),
    path("playground/embeddings/", playground.embeddings, name="playground-embeddings"),
    path("playground/speech/", playground.speech, name="playground-speech"),
    path("playground/images/", image_views.images, name="playground-images"),
    path("playground/rerank/", playground.rerank, name="playground-rerank"),
    path("playground/clients/", playground.clients, name="playground-clients"),
    path("playground/render/", playground.render_answer, name="playground-render"),
    path("playground/call/<str:operation>/", playground.call, name="playground-call"),
]

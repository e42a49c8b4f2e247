"""The REST API's common ground."""

from rest_framework.parsers import JSONParser
from rest_framework.views import exception_handler

__all__ = ["StrictJSONParser", "exception_handler"]


class StrictJSONParser(JSONParser):
    pass

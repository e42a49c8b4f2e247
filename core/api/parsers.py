"""The REST API's parser, in its own module because DRF imports it while defining its views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.http import parse_header_parameters
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions
from rest_framework.parsers import JSONParser

from core.strict_json import BadJSON, loads

BODY_LIMIT = 256 * 1024  # bytes; the largest legitimate body is a list of app key limits


class TooLarge(exceptions.APIException):
    status_code = 413
    default_code = "too_large"
    default_detail = gettext_lazy("The request body is larger than 256 KiB.")


class StrictJSONParser(JSONParser):
    """A parser for strict UTF-8 JSON of at most BODY_LIMIT bytes; see core.strict_json."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        charset = parse_header_parameters(media_type or "")[1].get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            raise exceptions.UnsupportedMediaType(media_type or "", _("The body must be UTF-8."))
        data = stream.read(BODY_LIMIT + 1)
        if len(data) > BODY_LIMIT:
            raise TooLarge
        try:
            return loads(data)
        except BadJSON as error:
            raise exceptions.ParseError(error.message) from None

"""Our own descriptions of provider failures. Pure.

A reason is stored as a code and values, and turned into text in the reader's language when shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from core.text import joined


def gettext_noop(text: str) -> str:
    """Mark a text for translation."""
    return text


_ALLOW: Final = gettext_noop(
    "The operator can allow this server by adding %(origin)s to MODELKEEP_EGRESS_ALLOW."
)
TEMPLATES: Final[Mapping[str, str]] = {
    # Invalid base URLs
    "url_length": gettext_noop("The base URL must have 1 to %(most)s characters."),
    "url_characters": gettext_noop(
        "The base URL must not contain spaces, backslashes or control characters."
    ),
    "url_scheme": gettext_noop(
        "The base URL must start with https:// (or http:// for a server that the "
        "operator has allowed)."
    ),
    "url_login": gettext_noop("The base URL must not contain a user name or password."),
    "url_query": gettext_noop("The base URL must not contain a query or a fragment."),
    "url_invalid": gettext_noop("This is not a valid URL."),
    "url_no_host": gettext_noop("The base URL has no host."),
    "url_port": gettext_noop("The base URL's port must be a number from 1 to 65535."),
    "url_segments": gettext_noop("The base URL's path contains dot segments or empty segments."),
    "url_host": gettext_noop("The base URL's host name is not valid."),
    "url_ipv6": gettext_noop("The base URL's host is not a valid IPv6 address."),
    "url_zone": gettext_noop("IPv6 addresses with a zone are not supported."),
    "url_ipv4": gettext_noop("Write the IP address as four decimal numbers."),
    # Addresses refused by the egress rules
    "other_scheme": gettext_noop("Only http and https URLs can be called."),
    "called_with_login": gettext_noop("URLs with a user name or password are not allowed."),
    "only_https": gettext_noop("Only https:// addresses are allowed."),
    "only_443": gettext_noop("Only port 443 is allowed."),
    "local_name": gettext_noop("%(host)s is a local network name."),
    "no_ip_address": gettext_noop("The host name resolved to something that is not an IP address."),
    "not_public": gettext_noop("%(host)s does not have a public address."),
    # Connections
    "dns": gettext_noop("The provider's host name could not be resolved."),
    "dns_empty": gettext_noop("The provider's host name has no address."),
    "connect": gettext_noop("The provider could not be reached."),
    "connect_timeout": gettext_noop("The provider could not be reached in time."),
    "tls": gettext_noop("No trusted TLS connection to the provider could be made."),
    "timeout": gettext_noop("The provider did not answer in time."),
    "no_time_left": gettext_noop("The time for this call was used up."),
    "not_done": gettext_noop("The provider did not finish within the time for this call."),
    "broken": gettext_noop("The connection to the provider broke."),
    "encoding": gettext_noop("The provider answered in an encoding that was not requested."),
    "redirect": gettext_noop("The address answered with a redirect. Redirects are not followed."),
    # Unusable replies
    "too_long": gettext_noop("The provider's answer is longer than %(most)s MiB."),
    "stream_too_long": gettext_noop("The provider's stream is longer than %(most)s MiB."),
    "line_too_long": gettext_noop("The provider sent a line that is longer than 8 MiB."),
    "stream_broken": gettext_noop("The provider's stream ended too early."),
    "stream_error": gettext_noop("The provider reported an error in the stream."),
    "broken_off": gettext_noop("The provider interrupted the answer."),
    "no_capacity": gettext_noop(
        "The provider interrupted the answer because it is out of capacity."
    ),
    "network_error": gettext_noop("The provider interrupted the answer (network_error)."),
    "unreadable": gettext_noop("The provider's answer could not be read."),
    "piece_unreadable": gettext_noop("The provider sent part of the answer in an unreadable form."),
    "embeddings_unreadable": gettext_noop("The provider's embeddings could not be read."),
    "web_page": gettext_noop("The address answered with a web page instead of an API."),
    "not_a_list": gettext_noop("The address answered, but not with a list of models."),
    "not_chatglm": gettext_noop("The address answered, but not as a ChatGLM server does."),
    "not_replicate": gettext_noop("The address answered, but not with a Replicate account."),
    "no_api": gettext_noop(
        "The address answered with HTTP status %(status)s. This API does not exist there."
    ),
    "http_status": gettext_noop("The provider answered with HTTP status %(status)s."),
    "status_only": gettext_noop("HTTP status %(status)s"),
    "error_code": gettext_noop("The provider answered with error %(number)s."),
    "reported": gettext_noop("The provider reported an error."),
    "empty": gettext_noop("The provider's answer is empty."),
    "empty_list": gettext_noop("The provider answered with an empty list of models."),
    "no_text": gettext_noop("The provider's answer contains no text."),
    "no_choices": gettext_noop("The provider's answer contains no choices."),
    "no_message": gettext_noop("The provider's answer contains no message."),
    "no_response": gettext_noop("The provider's answer contains no completed response."),
    "no_result": gettext_noop("The provider's answer contains no result."),
    "no_embedding": gettext_noop("The provider's answer contains no embedding."),
    "no_embeddings": gettext_noop("The provider's answer contains no embeddings."),
    "too_few_embeddings": gettext_noop("The provider did not return one embedding for each input."),
    "no_ranking": gettext_noop("The provider's answer contains no ranking."),
    "no_judgement": gettext_noop("The provider's answer contains no moderation result."),
    "no_audio": gettext_noop("The provider's answer contains no audio."),
    "no_image": gettext_noop("The provider's answer contains no image."),
    "image_not_fetched": gettext_noop(
        "The image could not be fetched from the provider: HTTP status %(status)s."
    ),
    "no_token": gettext_noop("Microsoft Entra ID answered without a token."),
    "no_file": gettext_noop("The provider did not say where it stored the file."),
    "no_prediction": gettext_noop("The provider's answer contains no prediction."),
    "prediction_failed": gettext_noop("The prediction failed."),
    "prediction_canceled": gettext_noop("The prediction was canceled at the provider."),
    "output_no_text": gettext_noop("The model's output is not text."),
    "output_no_embeddings": gettext_noop("The model's output contains no embeddings."),
    # Limits of the account or the model
    "other_type": gettext_noop("This model's inputs and outputs do not match the type %(type)s."),
    "no_demo_model": gettext_noop("The demo provider has no model %(model)s for this."),
    "three_keys_needed": gettext_noop(
        "Embeddings need APPID, APIKey and APISecret in the credential."
    ),
    "cannot_list": gettext_noop(
        "An application's keys cannot list models. The built-in list is shown instead."
    ),
    "may_not_call": gettext_noop(
        "The token lacks the permission “Make calls to Inference Providers”. Grant it in "
        "the token's settings."
    ),
    "asleep": gettext_noop(
        "The endpoint is scaled to zero or starting up. Try again in a few minutes."
    ),
    # Modelkeep
    "credential_unreadable": gettext_noop(
        "The stored key cannot be read. Nothing was sent to the provider. Enter the key again."
    ),
}
# Codes that earlier versions stored, and their successors.
_RENAMED: Final[Mapping[str, str]] = {"accept_timeout": "connect_timeout"}


class Reason:
    """A failure described in our own words.

    Args:
        code: A key of TEMPLATES.
        allow: The origin that the operator could allow, named in a second sentence.
        values: The template's values.

    Raises:
        KeyError: Unknown code, or a missing value.
    """

    __slots__ = ("allow", "code", "values")

    def __init__(self, code: str, *, allow: str = "", **values: str | int) -> None:
        TEMPLATES[code] % values  # fail here rather than where it is shown
        self.code = code
        self.allow = allow
        self.values = values

    def __str__(self) -> str:
        return self.describe()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reason) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.code)

    def describe(self, translate: Callable[[str], str] = str) -> str:
        """Return the text, in English or as translated by a function such as gettext."""
        hint = translate(_ALLOW) % {"origin": self.allow} if self.allow else ""
        return joined(translate(TEMPLATES[self.code]) % self.values, hint)

    def cleaned(self, clean: Callable[[str], str]) -> Reason:
        """Return the same reason with every text value passed through `clean`."""
        if not self.values:
            return self
        values = {
            name: clean(value) if isinstance(value, str) else value
            for name, value in self.values.items()
        }
        return Reason(self.code, allow=self.allow, **values)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for `from_json`."""
        allow = {"allow": self.allow} if self.allow else {}
        return {"code": self.code, **allow, **self.values}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reason | None:
        """Read what `to_json` returned; None if this version does not know the code or values."""
        try:
            return cls(**{**data, "code": _RENAMED.get(data["code"], data["code"])})
        except (KeyError, TypeError, ValueError):
            return None

"""Our own words for what goes wrong at a provider. Pure.

A reason is kept and stored as its code and values; whoever shows it puts it into words, in the
reader's language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from core.text import joined


def gettext_noop(text: str) -> str:
    """Marks a text for the translators."""
    return text


_ALLOW: Final = gettext_noop(
    "The operator can allow this server by adding %(origin)s to MODELKEEP_EGRESS_ALLOW."
)
TEMPLATES: Final[Mapping[str, str]] = {
    # Base URLs that cannot be used
    "url_length": gettext_noop("A base URL has 1 to %(most)s characters."),
    "url_characters": gettext_noop(
        "A base URL holds no blanks, backslashes or control characters."
    ),
    "url_scheme": gettext_noop(
        "A base URL starts with https:// (or http:// for a server the operator has allowed)."
    ),
    "url_login": gettext_noop("A base URL holds no user name or password."),
    "url_query": gettext_noop("A base URL holds no query and no fragment."),
    "url_invalid": gettext_noop("This is no valid URL."),
    "url_no_host": gettext_noop("The base URL holds no host."),
    "url_port": gettext_noop("The base URL's port is no number from 1 to 65535."),
    "url_segments": gettext_noop("The base URL's path holds dot segments or empty segments."),
    "url_host": gettext_noop("The base URL's host is no valid name."),
    "url_ipv6": gettext_noop("The base URL's host is no valid IPv6 address."),
    "url_zone": gettext_noop("An IPv6 address with a zone cannot be used."),
    "url_ipv4": gettext_noop("IP addresses are written as four decimal numbers."),
    # Addresses that must not be called
    "other_scheme": gettext_noop("Only http and https can be called."),
    "called_with_login": gettext_noop("A URL with a user name or password is not called."),
    "only_https": gettext_noop("Only https:// addresses may be reached."),
    "only_443": gettext_noop("Only port 443 may be reached."),
    "local_name": gettext_noop("%(host)s is a name of a local network."),
    "no_ip_address": gettext_noop("The look-up gave something that is no IP address."),
    "not_public": gettext_noop("%(host)s has an address that is not public."),
    # The way there
    "dns": gettext_noop("The provider's host name could not be resolved."),
    "dns_empty": gettext_noop("The provider's host name has no address."),
    "connect": gettext_noop("The provider could not be reached."),
    "connect_timeout": gettext_noop("The provider could not be reached in time."),
    "accept_timeout": gettext_noop("The provider did not accept a connection in time."),
    "tls": gettext_noop("No trusted TLS connection to the provider could be made."),
    "timeout": gettext_noop("The provider did not answer in time."),
    "no_time_left": gettext_noop("The time for this call was used up."),
    "not_done": gettext_noop("The provider was not done in the time of this call."),
    "broken": gettext_noop("The connection to the provider broke."),
    "encoding": gettext_noop("The provider answered in an encoding that was not asked for."),
    "redirect": gettext_noop("The address answered with a redirect, which is not followed."),
    # Answers that are of no use
    "too_long": gettext_noop("The provider's answer is longer than %(most)s MiB."),
    "stream_too_long": gettext_noop("The provider's stream is longer than %(most)s MiB."),
    "line_too_long": gettext_noop("The provider sent a line that is longer than 1 MiB."),
    "stream_broken": gettext_noop("The provider's stream broke off before its end."),
    "stream_error": gettext_noop("The provider reported an error inside the stream."),
    "broken_off": gettext_noop("The provider broke off the answer."),
    "no_capacity": gettext_noop("The provider broke off the answer: it has no capacity left."),
    "network_error": gettext_noop("The provider broke off the answer (network_error)."),
    "unreadable": gettext_noop("The provider's answer could not be read."),
    "piece_unreadable": gettext_noop(
        "The provider sent a piece of the answer that could not be read."
    ),
    "embeddings_unreadable": gettext_noop("The provider's embeddings could not be read."),
    "web_page": gettext_noop("The address answered with a web page, not with an API."),
    "not_a_list": gettext_noop("The address answered, but not with a list of models."),
    "not_chatglm": gettext_noop("The address answered, but not as a ChatGLM server does."),
    "not_replicate": gettext_noop("The address answered, but not with an account of Replicate."),
    "no_api": gettext_noop(
        "The address answered with HTTP status %(status)s: there is no such API at this address."
    ),
    "http_status": gettext_noop("The provider answered with HTTP status %(status)s."),
    "status_only": gettext_noop("HTTP status %(status)s"),
    "error_code": gettext_noop("The provider answered with error %(number)s."),
    "reported": gettext_noop("The provider reported an error."),
    "empty": gettext_noop("The provider's answer is empty."),
    "empty_list": gettext_noop("The provider answered with an empty list of models."),
    "no_text": gettext_noop("The provider's answer holds no text."),
    "no_choices": gettext_noop("The provider's answer holds no choices."),
    "no_message": gettext_noop("The provider's answer holds no message."),
    "no_response": gettext_noop("The provider's answer holds no response that has ended."),
    "no_result": gettext_noop("The provider's answer holds no result."),
    "no_embedding": gettext_noop("The provider's answer holds no embedding."),
    "no_embeddings": gettext_noop("The provider's answer holds no embeddings."),
    "too_few_embeddings": gettext_noop(
        "The provider's answer holds not one embedding for each input."
    ),
    "no_ranking": gettext_noop("The provider's answer holds no ranking."),
    "no_judgement": gettext_noop("The provider's answer holds no judgement."),
    "no_audio": gettext_noop("The provider's answer holds no audio."),
    "no_token": gettext_noop("Microsoft Entra ID answered without a token."),
    "no_file": gettext_noop("The provider did not say where it stored the file."),
    "no_prediction": gettext_noop("The provider's answer holds no prediction."),
    "prediction_failed": gettext_noop("The prediction failed."),
    "prediction_canceled": gettext_noop("The prediction was canceled at the provider."),
    "output_no_text": gettext_noop("The model's output is no text."),
    "output_no_embeddings": gettext_noop("The model's output holds no embeddings."),
    # What the account or the model cannot do
    "other_type": gettext_noop(
        "The inputs and outputs of this model are not those of type %(type)s."
    ),
    "no_demo_model": gettext_noop("The demonstration has no model %(model)s for this."),
    "three_keys_needed": gettext_noop(
        "Embeddings need APPID, APIKey and APISecret in the credential."
    ),
    "cannot_list": gettext_noop(
        "An application's keys cannot list models: the shipped ones are shown."
    ),
    "may_not_call": gettext_noop(
        "The token lacks the permission “Make calls to Inference Providers”. Give it that "
        "permission in the settings of the token."
    ),
    "asleep": gettext_noop(
        "The endpoint is scaled to zero or starting, which takes some minutes. Try again then."
    ),
    # Ours
    "credential_unreadable": gettext_noop(
        "The stored key cannot be read. Nothing was sent to the provider. Enter the key again."
    ),
}


class Reason:
    """Why there is no answer, where the words are ours.

    Args:
        code: a key of TEMPLATES.
        allow: the origin that the operator may let through, named in a second sentence.
        values: what fills the template in.

    Raises:
        KeyError: there is no such code.
    """

    __slots__ = ("allow", "code", "values")

    def __init__(self, code: str, *, allow: str = "", **values: str | int) -> None:
        TEMPLATES[code] % values  # fails here, not where it is shown
        self.code = code
        self.allow = allow
        self.values = values

    def __str__(self) -> str:
        return self.in_words()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reason) and self.stored() == other.stored()

    def __hash__(self) -> int:
        return hash(self.code)

    def in_words(self, translate: Callable[[str], str] = str) -> str:
        """The sentence. translate: such as gettext; English without."""
        hint = translate(_ALLOW) % {"origin": self.allow} if self.allow else ""
        return joined(translate(TEMPLATES[self.code]) % self.values, hint)

    def cleaned(self, clean: Callable[[str], str]) -> Reason:
        """The same reason with every text among its values made fit to be shown."""
        if not self.values:
            return self
        values = {
            name: clean(value) if isinstance(value, str) else value
            for name, value in self.values.items()
        }
        return Reason(self.code, allow=self.allow, **values)

    def stored(self) -> dict[str, Any]:
        """Plain JSON, to be read with `Reason.read`."""
        allow = {"allow": self.allow} if self.allow else {}
        return {"code": self.code, **allow, **self.values}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Reason | None:
        """What `stored` gave; None for a code or values of another version."""
        try:
            return cls(**stored)
        except (KeyError, TypeError, ValueError):
            return None

"""Messages about failed checks: what happened, what it means, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from core.text import joined
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Provider
from providers.failures.detail import FailureDetail

REGION = "region"  # field of providers with one address per region


@dataclass(frozen=True, slots=True)
class Sent:
    """The last request that was made, without secrets."""

    method: str
    host: str
    path: str
    scheme: str = "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}"

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path}"


def message_for(
    provider: Provider,
    error: ProviderError,
    sent: Sent | None,
    *,
    saved: bool | None = False,
    keyless: bool = False,
    own_address: bool = False,
) -> str:
    """Return the message for a failed check, with the provider's status and code in brackets.

    Args:
        provider: The provider that was asked.
        error: Its error.
        sent: The request that failed, if one was made.
        saved: Whether the credential was stored; None if nothing was to be stored.
        keyless: No key was entered, so a rejection asks for one.
        own_address: The provider's default address was used, so it cannot have a typo.
    """
    if keyless and error.failure is Failure.AUTH:
        template = _(
            "%(host)s asks for a key%(code)s%(end)s Enter the key that this server gave you."
        )
    else:
        template = _template(provider, error, sent, own_address)
    detail = FailureDetail.of(error)
    description = error.reason.describe(_) if error.reason else _sentence(error.message)
    outcome = {True: _("Saved."), False: _("Nothing was saved."), None: ""}[saved]
    text = template % {
        "provider": provider.label,
        "host": sent.host if sent else provider.label,
        "url": sent.url if sent else "",
        "code": detail.codes_suffix(_),
        "status": error.status,
        "message": joined(description, outcome),
        "seconds": round(settings.MODELKEEP_CONNECT_TIMEOUT),
        "ending": _usual_ending(provider),
        "region": _region(provider).lower(),
        "end": {
            True: _(". Saved."),
            False: _(". Nothing was saved."),
            None: pgettext("end of a sentence", "."),
        }[saved],
    }
    return text if "%(end)s" in template or "%(message)s" in template else joined(text, outcome)


def _sentence(text: str) -> str:
    """End a provider's text with a full stop, because more text follows."""
    text = text.rstrip()
    return text if not text or text[-1] in ".!?。！？…" else f"{text}."


def _usual_ending(provider: Provider) -> str:
    """Return the path at the end of the default base URL, such as "/v1", or an empty text."""
    return urlsplit(provider.default_base_url).path


def _region(provider: Provider) -> str:
    """Return the label of the field that selects the address, or an empty text."""
    return next(
        (str(field.label) for field in provider.credential_fields if field.name == REGION), ""
    )


def _template(provider: Provider, error: ProviderError, sent: Sent | None, is_own: bool) -> str:
    match error.failure:
        case Failure.AUTH:
            return _(
                "%(provider)s refused this key%(code)s%(end)s Check that you copied the whole key "
                "and that it has not been revoked."
            )
        case Failure.NO_FUNDS:
            return _(
                "The key is valid, but the %(provider)s account has no credit%(code)s%(end)s "
                "Calls will fail until the account is topped up."
            )
        case Failure.UNREACHABLE:
            return _unreachable(error.transport, bool(_region(provider)), is_own)
        case Failure.TIMEOUT:
            return _("%(host)s did not answer in time. Try again, or check the API base URL%(end)s")
        case Failure.NOT_AN_API:
            return _wrong_url(provider, error, sent)
        case Failure.PERMISSION | Failure.MODEL_NOT_FOUND:
            return _(
                "%(provider)s recognised this key but denied the request%(code)s: "
                "%(message)s Check the key's permissions and which models the account "
                "may use."
            )
        case Failure.BAD_REQUEST | Failure.CONTENT_FILTER if error.status is not None:
            return _(
                "%(provider)s did not accept the test request%(code)s: %(message)s Check "
                "what you entered."
            )
        case Failure.BAD_REQUEST if sent is None:  # refused before any request
            return "%(message)s"
        case Failure.RATE_LIMIT:
            return _(
                "%(provider)s is currently limiting requests%(code)s%(end)s Try again in a minute."
            )
        case _:
            return _("%(provider)s could not check this key%(code)s: %(message)s Try again later.")


def _wrong_url(provider: Provider, error: ProviderError, sent: Sent | None) -> str:
    if error.status is None or sent is None:
        return _("The API base URL cannot be used: %(message)s")
    if error.status < 300:
        return _("%(url)s does not answer as an API%(end)s Check the API base URL.")
    if _usual_ending(provider):
        return _("%(url)s answered %(status)s. The base URL usually ends in %(ending)s.")
    return _("%(url)s answered %(status)s%(end)s Check the API base URL.")


def _unreachable(transport: str, has_regions: bool, is_own: bool) -> str:
    match transport:
        case "dns" if has_regions:
            return _(
                "This server could not look up the host name %(host)s. Check the %(region)s and "
                "the API base URL%(end)s"
            )
        case "dns" if is_own:
            return _(
                "This server could not look up the host name %(host)s. Check the network "
                "and DNS%(end)s"
            )
        case "dns":
            return _(
                "This server could not look up the host name %(host)s. Check the API "
                "base URL for typos%(end)s"
            )
        case "connect" if has_regions:
            return _(
                "This server could not connect to %(host)s: nothing answers there, or a firewall "
                "is in between. "
                "Check the %(region)s and the API base URL%(end)s"
            )
        case "connect" if is_own:
            return _(
                "This server could not connect to %(host)s: nothing answers there, or a firewall "
                "is in between. "
                "Check the network or the API base URL%(end)s"
            )
        case "connect":
            return _(
                "This server could not connect to %(host)s: nothing answers there, or a "
                "firewall is in between. Check the API base URL and that the server is "
                "running%(end)s"
            )
        case "tls":
            return _(
                "This server could not establish a trusted TLS connection to %(host)s. "
                "Check its certificate or the API base URL%(end)s"
            )
        case _ if has_regions:
            return _(
                "This server could not reach %(host)s within %(seconds)s s. Check the network, "
                "the %(region)s or the API base URL%(end)s"
            )
        case _:
            return _(
                "This server could not reach %(host)s within %(seconds)s s. Check the network or "
                "the API base URL%(end)s"
            )

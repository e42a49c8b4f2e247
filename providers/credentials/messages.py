"""What is told of a check that failed: what happened, what it means, what to do."""

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

REGION = "region"  # the field of providers that answer at one address per region


@dataclass(frozen=True, slots=True)
class Sent:
    """The last request that was made: what to tell an administrator, and nothing that is secret."""

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
    """What happened, what it means, what to do; the provider's status and code stand in brackets
    for searching.

    saved: whether the message speaks of a credential that was (True) or was not (False) stored;
    None where nothing was to be. keyless: no key was typed, so that a refusal asks for one.
    own_address: nobody typed the address, so that no mistake is looked for.
    """
    if keyless and error.failure is Failure.AUTH:
        template = _(
            "%(host)s asks for a key%(code)s%(end)s Enter the key that this server gave you."
        )
    else:
        template = _template(provider, error, sent, own_address)
    detail = FailureDetail.of(error)
    said = error.reason.describe(_) if error.reason else _sentence(error.message)
    done = {True: _("Saved."), False: _("Nothing was saved."), None: ""}[saved]
    told = template % {
        "provider": provider.label,
        "host": sent.host if sent else provider.label,
        "url": sent.url if sent else "",
        "code": detail.codes_suffix(_),
        "status": error.status,
        "message": joined(said, done),
        "seconds": round(settings.MODELKEEP_CONNECT_TIMEOUT),
        "ending": _usual_ending(provider),
        "region": _region(provider).lower(),
        "end": {
            True: _(". Saved."),
            False: _(". Nothing was saved."),
            None: pgettext("end of a sentence", "."),
        }[saved],
    }
    return told if "%(end)s" in template or "%(message)s" in template else joined(told, done)


def _sentence(text: str) -> str:
    """A provider's own words with a full stop, since ours follow."""
    text = text.rstrip()
    return text if not text or text[-1] in ".!?。！？…" else f"{text}."


def _usual_ending(provider: Provider) -> str:
    """The path that the provider's own base URL ends in, such as "/v1"; "" where it has none."""
    return urlsplit(provider.default_base_url).path


def _region(provider: Provider) -> str:
    """What the provider calls the choice that its address follows from; "" where it has one address
    only.
    """
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
                "%(provider)s knows this key, but does not allow what was asked%(code)s: "
                "%(message)s "
                "Check the key's permissions and which models the account may use."
            )
        case Failure.BAD_REQUEST | Failure.CONTENT_FILTER if error.status is not None:
            return _(
                "%(provider)s did not accept the test request%(code)s: %(message)s Check what was "
                "entered."
            )
        case Failure.BAD_REQUEST if (
            sent is None
        ):  # nobody was asked: what was typed cannot be right
            return "%(message)s"
        case Failure.RATE_LIMIT:
            return _(
                "%(provider)s is limiting requests just now%(code)s%(end)s Try again in a minute."
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
                "This server could not look up the host name %(host)s. Check the network and the "
                "name service%(end)s"
            )
        case "dns":
            return _(
                "This server could not look up the host name %(host)s. Check the API base URL for "
                "a typing mistake%(end)s"
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
                "This server could not connect to %(host)s: nothing answers there, or a firewall "
                "is in between. "
                "Check the API base URL, and that the server there runs%(end)s"
            )
        case "tls":
            return _(
                "No trusted TLS connection to %(host)s could be made. Check its certificate or "
                "the API base URL%(end)s"
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

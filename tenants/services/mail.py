"""Send invitations and links for new passwords, if there is a mail server (EMAIL_URL)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from smtplib import SMTPException
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import get_script_prefix, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from core.errors import ServiceError
from core.text import one_line
from tenants.auth.permissions import ROLE_LABELS, Role
from tenants.models import Invitation, User

logger = logging.getLogger(__name__)
WAITING: Final = 100  # e-mails for the background that may wait; more are dropped
_background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")
_places = threading.BoundedSemaphore(WAITING)


class MailNotSent(ServiceError):
    """The mail server was unreachable or refused the e-mail."""

    def __init__(self) -> None:
        message = gettext_lazy(
            "The e-mail could not be sent, so no one was invited. Choose the link instead, or "
            "tell the operator of this server."
        )
        super().__init__("mail_not_sent", message)


def send_invitation(invitation: Invitation, *, link: str, by: User | None) -> None:
    """Send an invitation in the workspace's language. Raises MailNotSent.

    Args:
        by: Who invites; None for an app key without an owner.
    """
    with override(invitation.tenant.default_language or None):
        # Names from before the check of names may hold line breaks.
        who = one_line(by.get_short_name() if by else invitation.tenant.name)
        context = {
            "who": who,
            "email": by.email if by else settings.SITE_URL,
            "workspace": invitation.tenant.name,
            "role": ROLE_LABELS[Role(invitation.role)],
            "link": link,
            "invitation": invitation,
        }
        subject = _("%(who)s invites you to %(workspace)s") % {
            "who": who,
            "workspace": one_line(invitation.tenant.name),
        }
        body = render_to_string("tenants/invitation_mail.txt", context)
    if not send(EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [invitation.email])):
        raise MailNotSent


def reset_message(user: User, *, link: str, language: str | None) -> EmailMessage:
    """Return the e-mail with a link for a new password."""
    with override(language):
        context = {"link": link, "site": settings.SITE_URL, "email": user.email}
        subject = _("A new password for Modelkeep")
        body = render_to_string("tenants/reset_mail.txt", context)
    return EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [user.email])


def send(message: EmailMessage) -> bool:
    """Send an e-mail. Returns False if that failed, which is logged."""
    try:
        message.send()
    except (SMTPException, OSError) as error:
        logger.warning("could not send an e-mail: %s", type(error).__name__)
        return False
    return True


def site_link(view: str, *args: str) -> str:
    """Return the address of a page for an e-mail: never of the host that a request named."""
    path = reverse(view, args=args).removeprefix(get_script_prefix())
    return f"{settings.SITE_URL}/{path}"  # SITE_URL includes the script prefix


def in_background(call: Callable[..., None], *args: Any) -> None:
    """Call a function that sends e-mails in a thread, after those that wait already."""
    if not _places.acquire(blocking=False):
        logger.warning("dropped an e-mail: %s are waiting", WAITING)
        return
    _background.submit(call, *args).add_done_callback(_finish)


def _finish(call: Future[None]) -> None:
    _places.release()
    if call.exception() is not None:
        logger.error("could not write an e-mail", exc_info=call.exception())


def wait_for_background() -> None:
    """Wait until the e-mails that wait now are sent."""
    _background.submit(int).result()

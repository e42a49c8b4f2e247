"""Send invitations by e-mail, if the server has a mail server (EMAIL_URL)."""

from __future__ import annotations

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from core.errors import ServiceError
from core.text import one_line
from tenants.auth.permissions import ROLE_LABELS, Role
from tenants.models import Invitation, User

logger = logging.getLogger(__name__)


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
    try:
        EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [invitation.email]).send()
    except (SMTPException, OSError) as error:
        logger.warning("could not send an invitation: %s", type(error).__name__)
        raise MailNotSent from None

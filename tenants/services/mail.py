"""The e-mails that this server sends, where it was told how (EMAIL_URL)."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from core.errors import ServiceError
from tenants.auth.permissions import ROLE_LABELS, Role
from tenants.models import Invitation

logger = logging.getLogger(__name__)


class MailNotSent(ServiceError):
    """The mail server could not be reached, or refused."""

    def __init__(self) -> None:
        message = gettext_lazy(
            "The e-mail could not be sent. Nobody was invited. Choose the link instead, or tell "
            "the operator of this server."
        )
        super().__init__("mail_not_sent", message)


def send_invitation(invitation: Invitation, *, link: str, by: Any) -> None:
    """In the workspace's language. Raises MailNotSent."""
    with override(invitation.tenant.default_language or None):
        context = {
            "who": by.get_short_name(),
            "email": by.email,
            "workspace": invitation.tenant.name,
            "role": ROLE_LABELS[Role(invitation.role)],
            "link": link,
            "invitation": invitation,
        }
        # A name with a line break in it would be a header of its own; Django refuses those, and so
        # do our names.
        subject = _("%(who)s invites you to %(workspace)s") % {
            "who": by.get_short_name(),
            "workspace": invitation.tenant.name,
        }
        body = render_to_string("tenants/invitation_mail.txt", context)
    try:
        EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [invitation.email]).send()
    except (SMTPException, OSError) as error:
        logger.warning("an invitation was not sent: %s", type(error).__name__)
        raise MailNotSent from None

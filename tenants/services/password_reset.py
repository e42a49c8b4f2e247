"""Reset forgotten passwords by a link that is sent to the account's own address.

The link's token is not stored: it is an HMAC of the account's password hash, last sign-in and
address, so that it works once, and for settings.PASSWORD_RESET_TIMEOUT seconds at most.
"""

from __future__ import annotations

import logging

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.utils.translation import get_language

from tenants.audit.trail import Actor
from tenants.models import User
from tenants.scope import all_tenants
from tenants.services import accounts, mail

log = logging.getLogger("modelkeep.sign_in")
tokens = PasswordResetTokenGenerator()


def send_link(*, email: str) -> None:
    """Send a link for a new password, if the address has an account that may sign in.

    It is written and sent in another thread, also for nobody, so that callers can't tell whether
    there is an account.
    """
    user = User.objects.filter(email=email, is_active=True).first()
    if user is not None and not user.has_usable_password():
        user = None
    log.info("Link for a new password of %s", user or "an unknown account")
    mail.in_background(_send, user, get_language())


def _send(user: User | None, language: str | None) -> None:
    someone = user or User(pk=0, email="nobody@example.org")
    uid = urlsafe_base64_encode(force_bytes(someone.pk))
    link = mail.site_link("password-reset-link", uid, tokens.make_token(someone))
    message = mail.reset_message(someone, link=link, language=someone.language or language)
    if user is not None:
        mail.send(message)


def user_of(uid: str, token: str) -> User | None:
    """Return the person whose link it is, or None if it has expired, was used or is made up."""
    try:
        pk = int(urlsafe_base64_decode(uid))
    except ValueError:
        return None
    user = User.objects.filter(pk=pk, is_active=True).first()
    return user if user is not None and tokens.check_token(user, token) else None


@transaction.atomic
def reset_password(*, user: User, token: str, password: str, address: str | None) -> bool:
    """Give an account the password that its person chose behind a link.

    All its sessions end. The person has proven to own the mailbox.

    Args:
        user: Whose link it is.
        token: From the link.
        password: A valid one.
        address: IP address for the audit trail.

    Returns:
        False if the link has expired or was used.
    """
    account = User.objects.select_for_update().filter(pk=user.pk, is_active=True).first()
    if account is None or not tokens.check_token(account, token):
        return False
    with all_tenants():
        accounts.reset_password(
            user=account, password=password, actor=Actor(account.email, account.pk, address)
        )
    log.info("New password by link for %s from %s", account.email, address or "-")
    return True

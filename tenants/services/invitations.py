"""Invite people by link. The link is shown or sent once; only its hash is stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.db.violations import is_duplicate
from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from tenants.audit.trail import Actor, record
from tenants.auth.permissions import RANK, Role, can_change_role
from tenants.config_version import bump_version
from tenants.models import (
    Invitation,
    Membership,
    SentInvitation,
    Tenant,
    UnprovenMailbox,
    User,
)
from tenants.models.user import validate_name
from tenants.scope import all_tenants, tenant_scope
from tenants.services.members import check_may_assign

LIFETIME: Final = timedelta(days=7)
# Invitations that a workspace may send by e-mail per day, so that it can't send spam.
MAX_EMAILS: Final = 100
EMAIL_LENGTH: Final = 254  # of User.email and Invitation.email
NAME_LENGTH: Final = 120  # of User.name


@transaction.atomic
def invite(
    *, tenant: Tenant, email: str, role: Role, actor: Actor, by_email: bool = False
) -> tuple[Invitation, str]:
    """Invite a person, replacing an earlier open invitation of the same address.

    Args:
        tenant: The workspace.
        email: The invited address.
        role: At most the actor's own role.
        actor: Who invites.
        by_email: The caller sends the link to the invited address and shows it to no one else.

    Returns:
        The invitation and the link's token, which is not stored.

    Raises:
        ServiceError: If the address is invalid or too many e-mails were sent.
        NotAllowed: If the role is higher than the actor's.
        UnprovenMailbox: If an owner is invited by a link that others see, and has no account yet.
        Conflict: If the person is already a member.
    """
    email = checked_email(email)
    check_may_assign(actor, role)
    is_member = Membership.objects.filter(tenant=tenant, user__email=email).exists()
    # A member may be invited once more to prove to own the mailbox.
    if is_member and (not by_email or _is_proven(email)):
        raise Conflict("already_member", _("This person is already a member."), field="email")
    if role is Role.OWNER and not by_email and not _is_proven(email):
        raise UnprovenMailbox
    # Of two invitations at the same moment, the later one wins.
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    if by_email:
        _count_email(tenant)
    Invitation.objects.filter(tenant=tenant, email=email, accepted=None).delete()
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        tenant=tenant,
        email=email,
        role=role,
        digest=_digest(token),
        created_by_id=actor.user_id,
        made_by_key_id=actor.app_key_id,
        expires=timezone.now() + LIFETIME,
        by_email=by_email,
    )
    _record(invitation, actor, "member.invited", sent="e-mail" if by_email else "link")
    return invitation, token


def _is_proven(email: str) -> bool:
    return User.objects.filter(email=email, made_by_link=None).exists()


def _count_email(tenant: Tenant) -> None:
    """Count an invitation by e-mail. Raises ServiceError if the daily limit is reached."""
    sent = SentInvitation.objects.filter(tenant=tenant)
    sent.filter(time__lte=timezone.now() - timedelta(days=1)).delete()
    if sent.count() >= MAX_EMAILS:
        message = _(
            "This workspace has sent %(count)s invitations by e-mail within a day. Show the link "
            "instead, or wait until tomorrow."
        )
        raise ServiceError("too_many_emails", message % {"count": MAX_EMAILS}, field="send")
    SentInvitation.objects.create(tenant=tenant)


def checked_email(text: str) -> str:
    """Return the address in lower case, as stored.

    Raises:
        ServiceError: If it is invalid or longer than 254 characters.
    """
    email = text.strip().lower()
    try:
        validate_email(email)
        MaxLengthValidator(EMAIL_LENGTH)(email)
    except ValidationError:
        raise ServiceError(
            "bad_email", _("Enter an e-mail address such as ada@example.org."), field="email"
        ) from None
    return email


def checked_name(text: str) -> str:
    """Return a person's name without blanks around it; it may be empty.

    Raises:
        ServiceError: If it is too long or holds a line break or another control character.
    """
    name = text.strip()[:NAME_LENGTH]
    try:
        validate_name(name)
    except ValidationError as error:
        raise ServiceError("bad_name", error.message, field="name") from None
    return name


@transaction.atomic
def revoke_invitation(*, tenant: Tenant, invitation_id: UUID, actor: Actor) -> None:
    """Withdraw an open invitation, so that its link stops working. Raises NotFound."""
    invitation = (
        Invitation.objects.select_related("tenant")
        .filter(tenant=tenant, pk=invitation_id, accepted=None)
        .first()
    )
    if invitation is None:
        raise NotFound("no_such_invitation", _("Open invitation not found."))
    _record(invitation, actor, "invitation.revoked")
    invitation.delete()


def find_invitation(token: str) -> Invitation:
    """Return the open invitation of a link with its workspace.

    Raises:
        NotFound: If there is none, always with the same message.
    """
    with all_tenants():
        invitation: Invitation | None = (
            Invitation.objects.select_related("tenant", "created_by")
            .filter(
                digest=_digest(token),
                accepted=None,
                expires__gt=timezone.now(),
                tenant__status=Tenant.Status.ACTIVE,
            )
            .first()
        )
        if invitation is None or not _author_may_still_invite(invitation):
            raise _invitation_gone()
    return invitation


def _invitation_gone() -> NotFound:
    return NotFound(
        "no_such_invitation",
        _("This invitation has expired, was used or was withdrawn. Ask for a new link."),
    )


def _author_may_still_invite(invitation: Invitation) -> bool:
    """Return whether the author may still assign the role; commands have no author.

    Of an app key the person counts; revoking the key withdraws its invitations.
    """
    if invitation.created_by_id is None:
        return True
    author = Membership.objects.filter(
        tenant=invitation.tenant_id, user=invitation.created_by_id, user__is_active=True
    ).first()
    role = Role(invitation.role)
    return author is not None and can_change_role(actor=Role(author.role), current=role, new=role)


@transaction.atomic
def accept_invitation(
    *,
    token: str,
    user: User | None = None,
    name: str = "",
    password: str = "",
    address: str | None = None,
) -> Membership:
    """Make the invited person a member.

    Args:
        token: From the invitation's link.
        user: The signed-in person; if None, an account is made for the invited address, or one
            that was made through a link gets a new password.
        name: Of the account.
        password: Of the account.
        address: IP address for the audit trail.

    Raises:
        NotFound: If there is no open invitation.
        NotAllowed: `other_account` if another address was invited.
        UnprovenMailbox: If an owner was invited and the account's mailbox is unproven.
        Conflict: `sign_in_first` if the address has an account, or `already_member`.
        ServiceError: If the password is too weak.
    """
    invitation = find_invitation(token)
    new_account = user is None
    if user is None:
        user = _new_account(invitation, name, password)
    elif user.email != invitation.email:
        raise NotAllowed(
            "other_account",
            _("This invitation is for another e-mail address. Sign in with that one."),
        )
    with tenant_scope(invitation.tenant):
        open_invitation = Invitation.objects.filter(pk=invitation.pk, accepted=None)
        if not open_invitation.update(accepted=timezone.now()):
            raise _invitation_gone()
        member = _join(invitation, user, may_be_member=new_account)
        author = invitation.created_by
        details = {"invited_by": author.email if author else "command"}
        if new_account:
            details["password"] = "e-mail" if invitation.by_email else "link"
        _record(invitation, Actor(user.email, user.pk, address), "member.joined", **details)
    return member


def _join(invitation: Invitation, user: User, *, may_be_member: bool) -> Membership:
    """Make the person a member, or raise the role of one who has just proven the mailbox."""
    member: Membership
    values = {"role": invitation.role, "invited_by_id": invitation.created_by_id}
    member, created = Membership.objects.get_or_create(
        tenant=invitation.tenant, user=user, defaults=values
    )
    if not created and not may_be_member:
        raise Conflict("already_member", _("You are already a member of this workspace."))
    if RANK[Role(invitation.role)] > RANK[Role(member.role)]:
        member.role = invitation.role
        member.save(update_fields=["role"])
        bump_version(invitation.tenant_id)
    return member


def proves_mailbox(invitation: Invitation) -> bool:
    """Return whether the link lets the person take over an account made by someone else.

    The link was sent to the invited address only, and the account was made through another that
    others had seen. Whoever has it chooses a new password, which ends all sessions.
    """
    unproven = User.objects.filter(email=invitation.email, made_by_link__isnull=False)
    return invitation.by_email and unproven.exists()


def _new_account(invitation: Invitation, name: str, password: str) -> User:
    taken = Conflict(
        "sign_in_first",
        _(
            "There is already an account with this e-mail address. Sign in, then open the link "
            "again."
        ),
    )
    is_new = not proves_mailbox(invitation)
    if is_new and User.objects.filter(email=invitation.email).exists():
        raise taken
    user = (
        User(email=invitation.email, language=invitation.tenant.default_language)
        if is_new
        else User.objects.select_for_update().get(email=invitation.email)
    )
    user.name = checked_name(name)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ServiceError("weak_password", " ".join(error.messages), field="password") from None
    user.set_password(password)
    # Whoever passed on the link could have made this account.
    user.password_by_link = user.made_by_link = None if invitation.by_email else timezone.now()
    try:
        with transaction.atomic():
            user.save(force_insert=is_new)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        # The link was sent twice at the same moment.
        raise taken from None
    return user


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _record(invitation: Invitation, actor: Actor, action: str, **details: str) -> None:
    record(
        tenant=invitation.tenant,
        actor=actor,
        action=action,
        object_type="invitation",
        object_id=invitation.pk,
        object_label=invitation.email,
        details={"role": invitation.role, **details},
    )

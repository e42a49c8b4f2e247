"""Invitations by link: the link is shown once, only its hash is stored."""

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

from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from tenants.audit.trail import Actor, record
from tenants.auth.permissions import Role, can_change_role
from tenants.models import Invitation, Membership, SentInvitation, Tenant, User
from tenants.scope import all_tenants, tenant_scope

LIFETIME: Final = timedelta(days=7)
MOST_EMAILS: Final = (
    100  # that a workspace sends within a day: the server is nobody's way to write to strangers
)
EMAIL_LENGTH: Final = 254  # of User.email and Invitation.email


@transaction.atomic
def invite(
    *, tenant: Tenant, email: str, role: Role, actor: Actor, by_email: bool = False
) -> tuple[Invitation, str]:
    """(invitation, the link's token). The token is not kept: whoever loses it invites again, which
    ends the older link.

    by_email: the caller sends the link to the invited address and shows it to nobody else.

    Raises ServiceError (an address that is none, too many e-mails), NotAllowed (a role above the
    own one), Conflict (a member already).
    """
    email = checked_email(email)
    if actor.role is None or not can_change_role(actor=actor.role, current=role, new=role):
        raise NotAllowed(
            "role_too_high", _("Nobody gives a role above the own one. Ask an owner."), field="role"
        )
    if Membership.objects.filter(tenant=tenant, user__email=email).exists():
        raise Conflict("already_member", _("This person is a member already."), field="email")
    Tenant.objects.select_for_update().get(
        pk=tenant.pk
    )  # of two at the same moment the later one counts
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
        expires=timezone.now() + LIFETIME,
        by_email=by_email,
    )
    _record(invitation, actor, "member.invited", sent="e-mail" if by_email else "link")
    return invitation, token


def _count_email(tenant: Tenant) -> None:
    """Note that one more e-mail goes out. Raises ServiceError if those of a day are used up."""
    sent = SentInvitation.objects.filter(tenant=tenant)
    sent.filter(time__lte=timezone.now() - timedelta(days=1)).delete()
    if sent.count() >= MOST_EMAILS:
        message = _(
            "This workspace has sent %(count)s invitations by e-mail within a day. Show the link "
            "instead, or wait until tomorrow."
        )
        raise ServiceError("too_many_emails", message % {"count": MOST_EMAILS}, field="send")
    SentInvitation.objects.create(tenant=tenant)


def checked_email(text: str) -> str:
    """The address as it is stored, in small letters. Raises ServiceError for one that is none, or
    longer than 254 characters.
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


@transaction.atomic
def revoke_invitation(*, tenant: Tenant, invitation_id: UUID, actor: Actor) -> None:
    """The link stops working. Raises NotFound for one that is not there or was accepted."""
    invitation = (
        Invitation.objects.select_related("tenant")
        .filter(tenant=tenant, pk=invitation_id, accepted=None)
        .first()
    )
    if invitation is None:
        raise NotFound("no_such_invitation", _("There is no such open invitation."))
    _record(invitation, actor, "invitation.revoked")
    invitation.delete()


def find_invitation(token: str) -> Invitation:
    """The open invitation behind a link, with its workspace. Raises NotFound for everything else,
    without saying why.
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
        if invitation is None or not _inviter_may_still(invitation):
            raise NotFound(
                "no_such_invitation",
                _("This invitation has expired, was used or was withdrawn. Ask for a new link."),
            )
    return invitation


def _inviter_may_still(invitation: Invitation) -> bool:
    """An invitation gives nothing that its author may no longer give. Those of a command have no
    author.
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
    """Make the invited person a member. Without `user` an account with `password` is made for the
    invited address.

    Raises NotFound (no open invitation), NotAllowed (`other_account`: invited was another address),
    Conflict (`sign_in_first`: the address has an account; `already_member`), ServiceError (the
    password is too weak).
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
        if not Invitation.objects.filter(pk=invitation.pk, accepted=None).update(
            accepted=timezone.now()
        ):
            raise NotFound(
                "no_such_invitation",
                _("This invitation has expired, was used or was withdrawn. Ask for a new link."),
            )
        member: Membership
        values = {"role": invitation.role, "invited_by_id": invitation.created_by_id}
        member, created = Membership.objects.get_or_create(
            tenant=invitation.tenant, user=user, defaults=values
        )
        if not created:
            raise Conflict("already_member", _("You are a member of this workspace already."))
        details = {
            "invited_by": invitation.created_by.email if invitation.created_by else "command"
        }
        if new_account:
            details["password"] = "e-mail" if invitation.by_email else "link"
        _record(invitation, Actor(user.email, user.pk, address), "member.joined", **details)
    return member


def _new_account(invitation: Invitation, name: str, password: str) -> User:
    taken = Conflict(
        "sign_in_first",
        _(
            "There is an account with this e-mail address already. Sign in, then open the link "
            "again."
        ),
    )
    if User.objects.filter(email=invitation.email).exists():
        raise taken
    user = User(
        email=invitation.email, name=name.strip()[:120], language=invitation.tenant.default_language
    )
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ServiceError("weak_password", " ".join(error.messages), field="password") from None
    user.set_password(password)
    # Somebody else had the link too and could have chosen this password: said until the person
    # chooses another one.
    user.password_by_link = None if invitation.by_email else timezone.now()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:  # the link was sent twice at the same moment
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

"""Error codes for members, invitations, app keys and operators."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from core.error_codes.code import ErrorCode

PEOPLE: Final = (
    ErrorCode(
        "bad_email",
        (400,),
        _("Invalid e-mail address"),
        _("The e-mail address is invalid. Correct it."),
    ),
    ErrorCode(
        "already_member",
        (409,),
        _("Already a member"),
        _("The person is already a member. Check the list of members."),
    ),
    ErrorCode(
        "no_such_member",
        (404,),
        _("Member not found"),
        _("The member no longer exists. Reload the page."),
    ),
    ErrorCode(
        "no_such_invitation",
        (404,),
        _("Invitation not found"),
        _("The invitation no longer exists. Reload the page; invite the person again."),
    ),
    ErrorCode(
        "other_account",
        (403,),
        _("Another account"),
        _("The invitation is for another e-mail address. Sign in with the invited address."),
    ),
    ErrorCode(
        "too_many_emails",
        (429,),
        _("Too many invitations"),
        _(
            "The workspace has sent a hundred invitations by e-mail within a day. Share the link "
            "yourself, or wait until tomorrow."
        ),
    ),
    ErrorCode(
        "mail_not_sent",
        (502,),
        _("E-mail not sent"),
        _("The invitation e-mail could not be sent. Create a link instead, or tell the operator."),
    ),
    ErrorCode(
        "sign_in_first",
        (409,),
        _("Sign in first"),
        _("The invited address already has an account. Sign in, then open the link again."),
    ),
    ErrorCode(
        "weak_password",
        (400,),
        _("Weak password"),
        _("The password is too easy to guess. Choose a longer one."),
    ),
    ErrorCode(
        "last_owner",
        (409,),
        _("Last owner"),
        _("A workspace must have an owner. Make someone else an owner first."),
    ),
    ErrorCode(
        "role_too_high",
        (403,),
        _("Role too high"),
        _("You can't assign or remove a role higher than your own. Ask an owner."),
    ),
    ErrorCode(
        "mailbox_unproven",
        (403,),
        _("E-mail address not confirmed"),
        _(
            "The account was made through a link that others had seen, so it can't become an "
            "owner or operator. Send an invitation by e-mail, or have an operator set a password."
        ),
    ),
)
APP_KEYS: Final = (
    ErrorCode(
        "bad_scope",
        (400,),
        _("Unknown scope"),
        _("The scopes are `use`, `read` and `manage`. Choose from these."),
    ),
    ErrorCode(
        "no_scope",
        (400,),
        _("No scope"),
        _("No scope was chosen. Choose at least one of `use`, `read` and `manage`."),
    ),
    ErrorCode(
        "scope_too_wide",
        (403,),
        _("Scopes too wide"),
        _(
            "The key would have more rights than its owner, or than the key that makes it. Choose "
            "fewer scopes."
        ),
    ),
    ErrorCode(
        "limits_too_wide",
        (403,),
        _("Limits too wide"),
        _(
            "The key could use more models than the key that makes it, or keys made with it could "
            "use more than it could. Choose narrower limits, or change those keys first."
        ),
    ),
    ErrorCode(
        "expires_in_past",
        (400,),
        _("Expiry in the past"),
        _("The expiry date is in the past. Choose a later date."),
    ),
    ErrorCode(
        "not_your_key",
        (403,),
        _("Someone else's key"),
        _("The app key belongs to someone else. Ask an admin."),
    ),
    ErrorCode(
        "no_such_app_key",
        (404,),
        _("App key not found"),
        _("This workspace has no such app key. Check the ID."),
    ),
    ErrorCode(
        "no_such_key",
        (404,),
        _("App key not found"),
        _("This workspace has no such app key. Check the ID."),
    ),
    ErrorCode(
        "no_such_call",
        (404,),
        _("Call not found"),
        _("This workspace has no such call. Check the ID."),
    ),
)
OPERATORS: Final = (
    ErrorCode(
        "bad_limit",
        (400,),
        _("Invalid limit"),
        _("The limit of a trial plan is out of range. Correct it as the message says."),
    ),
    ErrorCode(
        "bad_credits",
        (400,),
        _("Invalid credits"),
        _("The credits of a call are out of range. Correct them as the message says."),
    ),
    ErrorCode(
        "bad_amount",
        (400,),
        _("Invalid amount"),
        _("The number of credits is zero or out of range. Correct it as the message says."),
    ),
    ErrorCode(
        "bad_model",
        (400,),
        _("Invalid model name"),
        _("A model's name is empty or too long. Correct it as the message says."),
    ),
    ErrorCode(
        "below_used",
        (409,),
        _("Limit below usage"),
        _("The limit would fall below the credits already used or held. Take back fewer."),
    ),
    ErrorCode(
        "no_snapshot",
        (409,),
        _("No snapshot"),
        _("No catalog snapshot is in effect. Read the output of `refresh_catalog`."),
    ),
    ErrorCode(
        "older",
        (409,),
        _("Older snapshot"),
        _("The catalog snapshot is older than the current one. Fetch a newer one."),
    ),
    ErrorCode(
        "needs_accept",
        (409,),
        _("Changes need review"),
        _(
            "The catalog snapshot has changes that look like mistakes. Read the output of "
            "`refresh_catalog`, then accept them."
        ),
    ),
    ErrorCode(
        "busy",
        (409,),
        _("Changed at the same time"),
        _("Someone else changed the same thing at the same time. Try again."),
    ),
)

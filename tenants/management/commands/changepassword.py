"""Set a person's password from the command line, which they change at their next sign-in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import changepassword

from tenants.audit.trail import COMMAND
from tenants.models import User
from tenants.scope import all_tenants
from tenants.services import accounts


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        answer = super().handle(*args, **options)
        with all_tenants():
            user = User.objects.get(email=options["username"])
            accounts.hand_out_password(user)
            user.save(update_fields=["made_by_link", "first_password_until"])
            accounts.note_password_set(user=user, actor=COMMAND)
        return answer

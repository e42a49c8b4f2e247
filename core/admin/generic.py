"""Django classes that are generic only in the type stubs, made subscriptable at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth import forms as auth_forms
from django.core import paginator

__all__ = [
    "AdminPasswordChangeForm",
    "AdminUserCreationForm",
    "ModelAdmin",
    "ModelForm",
    "Paginator",
    "SetPasswordForm",
    "StackedInline",
    "UserAdmin",
    "UserChangeForm",
]

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, StackedInline
    from django.contrib.auth.admin import UserAdmin
    from django.contrib.auth.forms import (
        AdminPasswordChangeForm,
        AdminUserCreationForm,
        SetPasswordForm,
        UserChangeForm,
    )
    from django.core.paginator import Paginator
    from django.forms import ModelForm
else:

    def _subscriptable(kind: type) -> type:
        """Return a subclass for which `ModelAdmin[Tenant]` is the class return_class."""
        return_class: Any = classmethod(lambda cls, parameter: cls)
        return type(kind)(
            kind.__name__,
            (kind,),
            {"__class_getitem__": return_class, "__module__": kind.__module__},
        )

    AdminPasswordChangeForm = _subscriptable(auth_forms.AdminPasswordChangeForm)
    AdminUserCreationForm = _subscriptable(auth_forms.AdminUserCreationForm)
    ModelAdmin = _subscriptable(admin.ModelAdmin)
    ModelForm = _subscriptable(forms.ModelForm)
    Paginator = _subscriptable(paginator.Paginator)
    SetPasswordForm = _subscriptable(auth_forms.SetPasswordForm)
    StackedInline = _subscriptable(admin.StackedInline)
    UserAdmin = _subscriptable(auth_admin.UserAdmin)
    UserChangeForm = _subscriptable(auth_forms.UserChangeForm)

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission


class AppKeyAuthentication(BaseAuthentication):
    def authenticate(self, request):
        return None


class ActionPermission(BasePermission):
    def has_permission(self, request, view):
        return False

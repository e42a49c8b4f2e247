"""The house rules that a machine can hold: ladders, tenant scoping, and who may reach around it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.urls import get_resolver

from tenants.managers import TenantManager
from tenants.models import Tenant, TenantOwned
from tests import source
from tests.routes import pages

OUR_MODELS = [model for model in apps.get_models() if model._meta.app_label in source.APPS]
TENANTS_MODELS = [model for model in OUR_MODELS if issubclass(model, TenantOwned)]

# Files that may look at every tenant, each with the reason.
ALL_TENANTS = {
    "tenants/scope.py": "defines it",
    "tenants/middleware.py": "the operators' site",
    "tenants/queries.py": "a person's own memberships, before any workspace is entered",
    "tenants/services/invitations.py": "an invitation's link names its workspace",
    "tenants/management/commands/changepassword.py": "all workspaces of a person are told",
    "tenants/services/password_reset.py": "all workspaces of a person are told",
    "tenants/crypto/data_keys.py": "all workspaces get data keys together",
    "tenants/models/workspace.py": "the guard lets operators write",
    "tenants/managers.py": "the manager lets operators read",
    "tenants/archives/logs.py": "archives what is old of all workspaces",
}
# Unique among all tenants, each with the reason.
UNIQUE_FOR_ALL = {
    "stored_file_once_on_trial": "an id in the operator's account is one workspace's",
    "stored_batch_once_on_trial": "an id in the operator's account is one workspace's",
}
# Files that may write or read without the guard of TenantOwned.save and the manager.
UNGUARDED: dict[str, str] = {
    "models_catalog/services/imports.py": "a provider's list of models, in one statement; every "
    "row is made for one tenant",
}


@pytest.mark.slow
def test_the_import_ladders_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    result = subprocess.run(command, cwd=source.ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_files_and_folders_stay_small() -> None:
    """A file has at most 400 lines, a folder at most twelve files unless they are of one kind."""
    files = list(source.files())
    lines = {source.name_of(path): path.read_text("utf-8").count("\n") for path in files}
    assert [name for name, count in lines.items() if count > 400] == []
    folders = Counter(path.parent for path in files if path.name != "__init__.py")
    assert [
        source.name_of(folder)
        for folder, count in folders.items()
        if count > 12 and folder.name not in ("adapters", "commands")
    ] == []


def test_types_are_strict_without_exceptions() -> None:
    """Only packages without stubs are left out; a line that mypy is told to ignore says of what
    kind and why.
    """
    settings = tomllib.loads((source.ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["strict"] is True
    assert set(source.PACKAGES) <= set(settings["files"])
    assert not settings.keys() & {
        "disable_error_code",
        "follow_imports",
        "ignore_errors",
        "ignore_missing_imports",
    }
    assert all(
        override.keys() == {"module", "ignore_missing_imports"}
        for override in settings["overrides"]
    )
    lines = (
        (path, number, line)
        for path in source.files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
    )
    ignored = [(path, number, line) for path, number, line in lines if "type: ignore" in line]
    assert not [
        f"{source.name_of(path)}:{number}"
        for path, number, line in ignored
        if not re.search(r"# type: ignore\[[a-z, -]+\]  # \w", line)
    ]


def test_nobody_imports_config_but_by_name_in_settings() -> None:
    found = [
        f"{source.name_of(path)}:{line} {name}"
        for path in source.files(*source.APPS)
        for line, name in source.imports(path)
        if name.split(".")[0] == "config"
    ]
    assert not found


def test_adapters_know_of_django_the_translation_only() -> None:
    found = [
        f"{source.name_of(path)}:{line} {name}"
        for path in source.files("providers/adapters")
        for line, name in source.imports(path)
        if name.split(".")[0] == "django" and not name.startswith("django.utils.translation.")
    ]
    assert not found


@pytest.mark.parametrize("model", OUR_MODELS, ids=lambda model: model.__name__)
def test_a_table_that_points_at_a_tenant_is_guarded(model: type[models.Model]) -> None:
    points = [field.name for field in model._meta.fields if field.related_model is Tenant]
    if points:
        assert issubclass(model, TenantOwned), (
            f"{model.__name__} has a foreign key to Tenant and must subclass TenantOwned"
        )


@pytest.mark.parametrize("model", TENANTS_MODELS, ids=lambda model: model.__name__)
def test_a_tenants_table_has_no_manager_that_sees_everyone(model: type[models.Model]) -> None:
    assert [
        manager.name for manager in model._meta.managers if not isinstance(manager, TenantManager)
    ] == []


@pytest.mark.parametrize("model", TENANTS_MODELS, ids=lambda model: model.__name__)
def test_unique_constraints_start_with_the_tenant(model: type[models.Model]) -> None:
    """Or with something that belongs to one tenant already, or with what is unique in the world by
    being random.
    """
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            if constraint.name in UNIQUE_FOR_ALL:
                continue
            first = model._meta.get_field(constraint.fields[0])
            assert first.name == "tenant" or (
                first.related_model and issubclass(first.related_model, TenantOwned)
            ), constraint.name
    alone = {
        field.name
        for field in model._meta.fields
        if field.unique and not field.primary_key and not isinstance(field, models.OneToOneField)
    }
    assert alone <= {"digest", "kid"}


@pytest.mark.parametrize("model", OUR_MODELS, ids=lambda model: model.__name__)
def test_no_provider_stands_in_the_schema(model: type[models.Model]) -> None:
    for field in model._meta.fields:
        if field.name == "provider" or field.name.startswith("provider_"):
            assert not field.choices, (
                f"{model.__name__}.{field.name}: providers are the registry's business"
            )


def uses(path: Path, names: set[str]) -> list[str]:
    """Names and attributes of `names` that `path` uses; words in comments and docstrings do not
    count.
    """
    found = []
    for node in source.nodes(path):
        name = (
            node.id
            if isinstance(node, ast.Name)
            else node.attr
            if isinstance(node, ast.Attribute)
            else None
        )
        if name in names:
            found.append(f"{name} (line {node.lineno})")
    return found


def test_only_listed_files_look_at_every_tenant() -> None:
    found = {
        source.name_of(path): uses(path, {"all_tenants", "EVERYONE"}) for path in source.files()
    }
    assert {name for name, lines in found.items() if lines} == set(ALL_TENANTS)


def test_only_listed_files_go_around_the_guard() -> None:
    around = {
        "_base_manager",
        "_default_manager",
        "bulk_create",
        "bulk_update",
        "save_base",
        "_raw_delete",
    }
    found = {source.name_of(path): uses(path, around) for path in source.files()}
    assert {name for name, lines in found.items() if lines} == set(UNGUARDED)


@pytest.mark.parametrize("page", pages(get_resolver()), ids=lambda page: page.path)
def test_every_page_of_a_workspace_names_the_action_it_needs(page) -> None:
    if "workspace" in page.parameters:
        assert page.action is not None, f"{page.path}: decorate the view with @page(Action....)"


def below_the_pages(path: Path) -> bool:
    """Whether a file is a service, a query, a model or a manager."""
    parts = path.relative_to(source.ROOT).with_suffix("").parts[1:]
    layer = next(
        (
            part
            for part in parts
            if part
            in {"views", "forms", "admin", "api", "services", "queries", "models", "managers"}
        ),
        "",
    )
    return layer in {"services", "queries", "models", "managers"}


def test_layers_below_the_pages_do_not_see_requests() -> None:
    """Services and queries take values, not a request; they know no HTTP status and render
    nothing.
    """
    forbidden = ("django.http", "django.shortcuts", "rest_framework", "django.contrib.messages")
    found = [
        f"{source.name_of(path)}:{line} {name}"
        for path in source.files(*source.APPS)
        if below_the_pages(path)
        for line, name in source.imports(path)
        if name.startswith(forbidden)
    ]
    assert not found


def test_queries_do_not_write() -> None:
    writing = {"save", "create", "bulk_create", "update_or_create", "get_or_create", "delete"}
    found = {
        source.name_of(path): [
            f"{node.func.attr} (line {node.lineno})"
            for node in source.nodes(path)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in writing
        ]
        for path in source.files(*source.APPS)
        if path.name == "queries.py"
    }
    assert {name: lines for name, lines in found.items() if lines} == {}

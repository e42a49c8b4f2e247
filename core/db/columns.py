"""A migration operation for new columns of large tables."""

from __future__ import annotations

from copy import copy
from typing import Any

from django.db.migrations.operations import AddField


class AddUncheckedField(AddField):
    """Add a column without its field's CHECK, for which PostgreSQL would read the whole table
    while nobody can write to it. The product never writes what the check would refuse.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        unchecked = copy(model._meta.get_field(self.name))
        vars(unchecked)["db_check"] = lambda connection: None
        schema_editor.add_field(from_state.apps.get_model(app_label, self.model_name), unchecked)

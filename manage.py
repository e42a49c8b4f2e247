#!/usr/bin/env python
"""Django's command line for Modelkeep."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] in (["init"], ["restore"]):
        # The commands that may be an installation's first: every other one finds the secrets
        # made, or says that they are missing. A backup brings its own master keys, or they are set.
        from config import first_start

        first_start.main(master_keys=sys.argv[1] == "init")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Invalid settings: {error}")


if __name__ == "__main__":
    main()

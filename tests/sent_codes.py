"""Cases that make the product send an error code for real, kept by code and HTTP status.

Three files hold them, by surface. tests/test_error_codes.py compares their keys with the table of
codes, so that a code without a case fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Case = Callable[..., Any]


class Cases(dict[tuple[str, int], Case]):
    """(code, HTTP status) -> what makes it be sent. The status is 0 for ends of calls that are
    only recorded.
    """

    def sends(self, code: str, status: int) -> Callable[[Case], Case]:
        """Decorate a case with what it makes the product send."""

        def keep(case: Case) -> Case:
            assert (code, status) not in self, f"{code} {status} has a case already"
            self[code, status] = case
            return case

        return keep

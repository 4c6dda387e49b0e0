"""The one error that reading a request raises."""

from __future__ import annotations


class RequestError(ValueError):
    """A request is malformed. The caller must change it: retrying does not help.

    ``field`` is the path of the field, ``remedy`` what to send instead. Values that may
    be personal are never part of the text.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field} {problem}; {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy

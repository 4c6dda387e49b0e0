"""Errors the terminal client raises, all before or beside a decision, never for one.

* TerminalError
  - ConfigError    what was configured cannot be used: correct the file
  - StateError     the state folder cannot be used: another client has it, or it is read-only
* TrustError       (``core.trust_errors``) a bundle is not to be believed: keep what is active
  - MetadataError, SignatureError, RootChainError, RollbackError, SelectionError, DigestError

``TerminalClient.open`` raises the first family. ``TerminalClient.evaluate`` raises nothing:
what goes wrong is a code in its answer.
"""

from __future__ import annotations

from pathlib import Path

from terminal_client.core.trust_errors import (
    DigestError,
    MetadataError,
    RollbackError,
    RootChainError,
    SelectionError,
    SignatureError,
    TrustError,
)

__all__ = [
    "ConfigError",
    "DigestError",
    "MetadataError",
    "RollbackError",
    "RootChainError",
    "SelectionError",
    "SignatureError",
    "StateError",
    "TerminalError",
    "TrustError",
]


class TerminalError(Exception):
    """The client cannot be opened."""


class ConfigError(TerminalError):
    """The configuration cannot be used. ``key`` is empty when a whole file is at fault."""

    def __init__(self, where: str, key: str, problem: str, remedy: str) -> None:
        super().__init__(f"{where}: {key + ': ' if key else ''}{problem}; {remedy}")
        self.key = key
        self.problem = problem
        self.remedy = remedy


class StateError(TerminalError):
    """The state folder cannot be used. ``in_use``: another client has it."""

    def __init__(self, path: Path, problem: str, remedy: str, *, in_use: bool = False) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.in_use = in_use

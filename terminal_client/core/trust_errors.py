"""Errors of the trust check. In every case: do not activate, keep what is active.

* TrustError
  - MetadataError    a document is not what it should be: unreadable, of another kind
  - SignatureError   too few of the right keys have signed
  - RootChainError   a root does not follow the one before it
  - RollbackError    older than what this machine has already believed
  - SelectionError   the ring selects what the channel has not signed, or has withdrawn
  - DigestError      the bundle's bytes are not the signed ones
"""

from __future__ import annotations


class TrustError(Exception):
    """Not to be believed. ``role`` names the document at fault."""

    def __init__(self, role: str, problem: str) -> None:
        super().__init__(f"{role} {problem}")
        self.role = role
        self.problem = problem


class MetadataError(TrustError):
    """A document is unreadable, malformed, or of another kind than its place asks for."""


class SignatureError(TrustError):
    """``valid_count`` keys of the role have signed, fewer than ``threshold``."""

    def __init__(self, role: str, valid_count: int, threshold: int) -> None:
        super().__init__(role, f"has {valid_count} of {threshold} signatures")
        self.valid_count = valid_count
        self.threshold = threshold


class RootChainError(TrustError):
    """A root's version is not the one after its predecessor's."""


class RollbackError(TrustError):
    """``offered`` is below ``remembered``: somebody hands out what is over."""

    def __init__(self, role: str, what: str, offered: int, remembered: int) -> None:
        super().__init__(role, f"has {what} {offered}, below {remembered}, which was seen before")
        self.offered = offered
        self.remembered = remembered


class SelectionError(TrustError):
    """The ring's pointer leads nowhere that the channel's key allows."""


class DigestError(TrustError):
    """A bundle's length or SHA-256 differs from the signed one."""

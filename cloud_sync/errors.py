"""Errors the sync module raises.

* SyncError
  - StoreUnavailableError    the disk is wrong: nothing was stored, keep the records, come again
  - StoreMismatchError       the database belongs to another store or a newer version: do not start
  - CloudUnavailableError    the network is wrong, or what it brought: keep what is active, come
                             again later
  - BundleError              the bytes are wrong: do not activate, do not try again
  - HostUnavailableError     the process that serves is away: come again soon
  - HostRefusedError         it will not take this artifact: do not try again
"""

from __future__ import annotations


class SyncError(Exception):
    """Anything below; callers catch the families, never this."""


class StoreUnavailableError(SyncError):
    """The database cannot be read or written now; nothing was stored."""


class StoreMismatchError(SyncError):
    """The database is not this gateway's: a person must look."""


class CloudUnavailableError(SyncError):
    """The cloud could not be reached, did not answer in time, or sent other bytes."""


class BundleError(SyncError):
    """Metadata or a bundle is not what was signed, or cannot be used as it is."""


class HostUnavailableError(SyncError):
    """Who serves the artifacts did not answer in time."""


class HostRefusedError(SyncError):
    """Who serves the artifacts will not serve this one: contract, canary or provider."""

"""The terminal's state folder: spool, redemption ledger and bundles, opened together.

A disk that refuses does not keep a register from selling: without a spool its own answers are
marked RECORD_LOST, without a ledger it knows only its own sales, and the status says so. Only a
folder that another client uses is an error: two registers would count each other's sales.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from posgate.v1 import outcome_pb2
from terminal_client.bundle_cache import BundleCache
from terminal_client.config import TerminalConfig
from terminal_client.errors import StateError
from terminal_client.outcomes import redemptions_of
from terminal_client.redemption_ledger import RedemptionLedger
from terminal_client.spool import Spool

logger = logging.getLogger(__name__)

_MOST_OUTCOMES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalState:
    """What is on disk. ``conditions`` say what could not be opened."""

    spool: Spool | None
    ledger: RedemptionLedger | None
    cache: BundleCache
    conditions: tuple[str, ...]

    @classmethod
    def open(cls, config: TerminalConfig) -> TerminalState:
        """Open the folder, making it when there is none.

        Raises:
            StateError: another client uses it.
            ConfigError: the pinned root cannot be used.
        """
        conditions: list[str] = []
        try:
            config.state_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            conditions.append(f"state folder: {error}")
        cache = BundleCache.open(config.state_dir / "bundles", config.trust, config.store_id)
        spool = _open_spool(config, conditions)
        ledger: RedemptionLedger | None = None
        try:
            ledger = RedemptionLedger.open(config.state_dir / "redemptions.sqlite3")
            if spool is not None:
                _replay(spool, ledger)
        except (OSError, sqlite3.Error) as error:
            conditions.append(f"redemptions: {error}")
        for condition in conditions:
            logger.error("%s; the terminal goes on without it", condition)
        return cls(spool=spool, ledger=ledger, cache=cache, conditions=tuple(conditions))

    def close(self) -> None:
        """Write what waits and close the files. May be called twice."""
        if self.spool is not None:
            self.spool.close()
        if self.ledger is not None:
            self.ledger.close()


def _open_spool(config: TerminalConfig, conditions: list[str]) -> Spool | None:
    try:
        return Spool.open(config.state_dir / "spool.sqlite3", config.spool.cap_bytes)
    except StateError as error:
        if error.in_use:
            raise
        conditions.append(f"spool: {error}")
        return None


def _replay(spool: Spool, ledger: RedemptionLedger) -> None:
    """Let reports that the box has not taken yet count again."""
    for outcome in spool.outcomes(_MOST_OUTCOMES):
        try:
            report = outcome_pb2.OutcomeReport.FromString(outcome.body)
        except DecodeError:
            spool.drop_outcomes([outcome.number])
            continue
        ledger.note_own(report.request_id, redemptions_of(report))

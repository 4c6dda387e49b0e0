"""The terminal's configuration as one frozen tree.

Owns what may be configured, the defaults and the ranges. A register's program builds a
``TerminalConfig``, or reads one with ``config_file.load_config``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from terminal_client.errors import ConfigError

_WORKSTATION = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_TARGET = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}\Z")
_ROLE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAddress:
    """One box: ``host:port`` of its serving and of its control door."""

    serving: str
    control: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """PEM files. ``certificate`` and ``key`` go together; without them the terminal shows none.

    ``server_name`` is the name the box's certificate must carry when it is called by another
    one (an address); empty: the host that is called. The files are read again when they change.
    """

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustConfig:
    """What the terminal believes: a pinned root, and the ring whose pointer it follows.

    An empty ``bundle_name`` follows the one rules bundle that the ring selects.
    """

    root: Path
    ring: str = "fleet"
    bundle_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolConfig:
    """``cap_bytes`` bounds the decisions that wait to be uploaded; a quarter of it, outcomes."""

    cap_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerConfig:
    """When to stop asking a gateway, and when to try again.

    Of the last ``window`` calls, at least ``minimum``, ``bad_share`` failed or took longer than
    ``slow_share`` of their budget: stop. Try again after ``open_s``, twice as long each time
    the try fails, at most ``longest_open_s``. A basket that was not sent stays unsent for
    ``sticky_s``.
    """

    window: int = 20
    minimum: int = 5
    bad_share: float = 0.5
    slow_share: float = 0.9
    open_s: float = 0.5
    longest_open_s: float = 4.0
    sticky_s: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepConfig:
    """What happens beside the lane: how often the box is asked, and how long it may take.

    ``interval_s`` holds until the box says its own; ``trust_interval_s`` bounds how long a new
    bundle may go unnoticed when the box does not tell.
    """

    interval_s: float = 5.0
    retry_s: float = 1.0
    call_timeout_s: float = 5.0
    trust_interval_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalConfig:
    """Everything a terminal may be told.

    ``gateways`` are tried in order. ``state_dir`` survives a power cut and belongs to one
    client at a time. ``default_budget`` is used where ``evaluate`` is given none. ``store_id``
    is the store whose rules are wanted; empty: any.
    """

    workstation_id: str
    gateways: tuple[GatewayAddress, ...]
    tls: TlsConfig
    trust: TrustConfig
    state_dir: Path
    default_budget: timedelta = timedelta(milliseconds=150)
    store_id: str = ""
    spool: SpoolConfig = SpoolConfig()
    breaker: BreakerConfig = BreakerConfig()
    upkeep: UpkeepConfig = UpkeepConfig()

    def check(self, where: str = "config") -> None:
        """Raise ConfigError for the first value out of its range."""
        for key, fine, remedy in self._facts():
            if not fine:
                raise ConfigError(where, key, "is out of range", remedy)

    def _facts(self) -> tuple[tuple[str, bool, str], ...]:
        targets = [door for box in self.gateways for door in (box.serving, box.control)]
        breaker, upkeep, tls = self.breaker, self.upkeep, self.tls
        return (
            (
                "workstation_id",
                bool(_WORKSTATION.match(self.workstation_id)),
                "1 to 64 of [A-Za-z0-9._-]",
            ),
            ("store_id", len(self.store_id) <= 64, "write at most 64 characters"),
            ("gateways", 1 <= len(self.gateways) <= 8, "name 1 to 8 gateways"),
            ("gateways", all(_TARGET.match(target) for target in targets), "write host:port"),
            ("tls.key", (tls.certificate is None) == (tls.key is None), "give certificate and key"),
            ("trust.ring", bool(_ROLE.match(self.trust.ring)), "name the store's ring"),
            (
                "default_budget_ms",
                timedelta(0) < self.default_budget <= timedelta(minutes=1),
                "write 1 to 60000",
            ),
            ("spool.cap_mib", 2**20 <= self.spool.cap_bytes <= 2**34, "write 1 to 16384"),
            (
                "breaker.window",
                1 <= breaker.minimum <= breaker.window <= 1000,
                "write minimum <= window <= 1000",
            ),
            ("breaker.bad_share", 0 < breaker.bad_share <= 1, "write more than 0 and at most 1"),
            ("breaker.slow_share", 0 < breaker.slow_share <= 1, "write more than 0 and at most 1"),
            (
                "breaker.open_s",
                0 < breaker.open_s <= breaker.longest_open_s <= 3600,
                "write open_s <= longest_open_s <= 3600",
            ),
            ("breaker.sticky_s", 0 <= breaker.sticky_s <= 86_400, "write 0 to 86400"),
            ("upkeep.interval_s", 0.05 <= upkeep.interval_s <= 3600, "write 0.05 to 3600"),
            ("upkeep.retry_s", 0.05 <= upkeep.retry_s <= 3600, "write 0.05 to 3600"),
            ("upkeep.call_timeout_s", 0.1 <= upkeep.call_timeout_s <= 60, "write 0.1 to 60"),
            (
                "upkeep.trust_interval_s",
                0.05 <= upkeep.trust_interval_s <= 86_400,
                "write 0.05 to 86400",
            ),
        )

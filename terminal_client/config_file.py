"""Reading a terminal's TOML file into a ``TerminalConfig``; unknown keys are errors."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

from terminal_client.config import (
    BreakerConfig,
    GatewayAddress,
    SpoolConfig,
    TerminalConfig,
    TlsConfig,
    TrustConfig,
    UpkeepConfig,
)
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.errors import ConfigError

_MIB = 1024 * 1024


def load_config(path: Path) -> TerminalConfig:
    """Read the configuration at ``path``; relative paths in it start at its folder.

    Raises: ConfigError: it cannot be read, or a key is unknown, missing or out of range.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), "", f"cannot be read ({error})", "write TOML") from error
    try:
        config = _read(Fields(document, ""), path.absolute().parent)
    except DocumentError as error:
        raise ConfigError(str(path), error.path, error.problem, error.remedy) from error
    config.check(str(path))
    return config


def _read(top: Fields, folder: Path) -> TerminalConfig:
    config = TerminalConfig(
        workstation_id=top.text("workstation_id"),
        gateways=top.items("gateways", _gateway),
        tls=_tls(top.object("tls"), folder),
        trust=_trust(top.object("trust"), folder),
        state_dir=folder / top.text("state_dir"),
        default_budget=timedelta(milliseconds=top.integer("default_budget_ms", 1, 60_000, 150)),
        store_id=top.text("store_id", ""),
        spool=_spool(_section(top, "spool")),
        breaker=_breaker(_section(top, "breaker")),
        upkeep=_upkeep(_section(top, "upkeep")),
    )
    top.close()
    return config


def _section(top: Fields, key: str) -> Fields:
    return top.object(key) if top.has(key) else Fields({}, key)


def _gateway(value: object, path: str) -> GatewayAddress:
    fields = Fields(value, path)
    address = GatewayAddress(serving=fields.text("serving"), control=fields.text("control"))
    fields.close()
    return address


def _tls(fields: Fields, folder: Path) -> TlsConfig:
    config = TlsConfig(
        ca=folder / fields.text("ca"),
        certificate=_optional(fields, "certificate", folder),
        key=_optional(fields, "key", folder),
        server_name=fields.text("server_name", ""),
    )
    fields.close()
    return config


def _trust(fields: Fields, folder: Path) -> TrustConfig:
    config = TrustConfig(
        root=folder / fields.text("root"),
        ring=fields.text("ring", "fleet"),
        bundle_name=fields.text("bundle_name", ""),
    )
    fields.close()
    return config


def _spool(fields: Fields) -> SpoolConfig:
    config = SpoolConfig(cap_bytes=fields.integer("cap_mib", 1, 16_384, 64) * _MIB)
    fields.close()
    return config


def _breaker(fields: Fields) -> BreakerConfig:
    usual = BreakerConfig()
    config = BreakerConfig(
        window=fields.integer("window", default=usual.window),
        minimum=fields.integer("minimum", default=usual.minimum),
        bad_share=fields.number("bad_share", 0, 1, usual.bad_share),
        slow_share=fields.number("slow_share", 0, 1, usual.slow_share),
        open_s=fields.number("open_s", 0, 3600, usual.open_s),
        longest_open_s=fields.number("longest_open_s", 0, 3600, usual.longest_open_s),
        sticky_s=fields.number("sticky_s", 0, 86_400, usual.sticky_s),
    )
    fields.close()
    return config


def _upkeep(fields: Fields) -> UpkeepConfig:
    usual = UpkeepConfig()
    config = UpkeepConfig(
        interval_s=fields.number("interval_s", 0, 3600, usual.interval_s),
        retry_s=fields.number("retry_s", 0, 3600, usual.retry_s),
        call_timeout_s=fields.number("call_timeout_s", 0, 60, usual.call_timeout_s),
        trust_interval_s=fields.number("trust_interval_s", 0, 86_400, usual.trust_interval_s),
    )
    fields.close()
    return config


def _optional(fields: Fields, key: str, folder: Path) -> Path | None:
    return folder / fields.text(key) if fields.has(key) else None

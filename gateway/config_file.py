"""Reading the configuration: a TOML file becomes one ``GatewayConfig``, or an error that helps.

Owns the ranges. Refuses unknown keys, and to look anywhere else: no environment, no second
file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from gateway.config import (
    Address,
    AdmissionConfig,
    AnswersConfig,
    ClientCertificates,
    CloudConfig,
    GatewayConfig,
    JournalConfig,
    ListenConfig,
    LogConfig,
    LogFormat,
    PathsConfig,
    StoreConfig,
    TlsConfig,
    TrustConfig,
)
from terminal_client.core.reading import DocumentError, Fields

_STORE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_ROLE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_URL_SCHEMES = ("https", "http", "file")
_LEVELS = {name: name for name in ("DEBUG", "INFO", "WARNING", "ERROR")}
_CERTIFICATES = {choice.value: choice for choice in ClientCertificates}
_FORMATS = {choice.value: choice for choice in LogFormat}


class ConfigError(Exception):
    """The file cannot be used; ``key`` is empty when it is not TOML or cannot be read."""

    def __init__(self, path: Path, key: str, problem: str, remedy: str) -> None:
        where = f"{path}: {key}" if key else str(path)
        super().__init__(f"{where}: {problem}; {remedy}")
        self.path = path
        self.key = key
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One effective value; ``origin`` is ``file`` or ``default``."""

    key: str
    value: str
    origin: str


def load_config(path: Path) -> GatewayConfig:
    """Read the configuration at ``path``; relative paths in it start at its folder.

    Raises:
        ConfigError: it cannot be read, is not TOML, or a key is unknown, missing or out of
            range; the message names file, key and remedy.
    """
    return _read(_document(path), path)


def effective_settings(path: Path) -> tuple[Setting, ...]:
    """Return every value in force and where it comes from.

    Raises: ConfigError: as ``load_config``.
    """
    document = _document(path)
    return tuple(
        Setting(key=key, value=value, origin="file" if _said(document, key) else "default")
        for key, value in _flatten(_read(document, path), "")
    )


def _document(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        problem = f"cannot be read ({exc.strerror})"
        raise ConfigError(path, "", problem, "name a readable TOML file") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(path, "", "is not UTF-8", "save it as UTF-8") from exc
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(path, "", f"is not TOML: {exc}", "correct that line") from exc


def _read(document: Mapping[str, object], path: Path) -> GatewayConfig:
    top = Fields(document, "")
    folder = path.absolute().parent
    try:
        config = GatewayConfig(
            store=_store(_section(top, "store")),
            tls=_tls(_section(top, "tls"), folder),
            trust=_trust(_section(top, "trust"), folder),
            listen=_listen(_section(top, "listen")),
            paths=_paths(_section(top, "paths"), folder),
            cloud=_cloud(_section(top, "cloud"), folder),
            journal=_journal(_section(top, "journal")),
            answers=_answers(_section(top, "answers")),
            admission=_admission(_section(top, "admission")),
            log=_log(_section(top, "log")),
        )
        top.close()
    except DocumentError as exc:
        raise ConfigError(path, exc.path, exc.problem, exc.remedy) from exc
    return config


def _section(top: Fields, name: str) -> Fields:
    """Return a table, an absent one as empty: a required key in it is then missing."""
    return top.object(name) if top.has(name) else Fields({}, name)


def _store(section: Fields) -> StoreConfig:
    store_id = section.text("store_id")
    if not _STORE_ID.fullmatch(store_id):
        raise _bad(section, "store_id", store_id, "write 1 to 64 characters of A-Z a-z 0-9 . _ -")
    base = StoreConfig(store_id=store_id)
    time_zone = section.text("time_zone", base.time_zone)
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError) as exc:
        remedy = "write an IANA name such as America/Chicago"
        raise _bad(section, "time_zone", time_zone, remedy) from exc
    section.close()
    return StoreConfig(store_id=store_id, time_zone=time_zone)


def _tls(section: Fields, folder: Path) -> TlsConfig:
    paths = {key: _path(section, key, folder) for key in ("ca", "certificate", "key")}
    wanted = section.choice("client_certificates", _CERTIFICATES, "required")
    section.close()
    return TlsConfig(client_certificates=wanted, **paths)


def _trust(section: Fields, folder: Path) -> TrustConfig:
    root = _path(section, "root", folder)
    ring = section.text("ring", TrustConfig(root=root).ring)
    if not _ROLE_NAME.fullmatch(ring):
        raise _bad(section, "ring", ring, "write a ring's name: a-z 0-9 -, such as fleet")
    section.close()
    return TrustConfig(root=root, ring=ring)


def _listen(section: Fields) -> ListenConfig:
    base = ListenConfig()
    host = section.text("advertised_host", base.advertised_host)
    if host and not _HOST.fullmatch(host):
        raise _bad(section, "advertised_host", host, "write a host name or an address")
    config = ListenConfig(
        serving=_address(section, "serving", base.serving),
        control=_address(section, "control", base.control),
        health=_address(section, "health", base.health),
        advertised_host=host,
    )
    section.close()
    if len({config.serving.port, config.control.port, config.health.port}) < 3:
        remedy = "give serving, control and health their own"
        raise DocumentError(section.path, "gives two doors one port", remedy)
    return config


def _paths(section: Fields, folder: Path) -> PathsConfig:
    base = PathsConfig()
    config = PathsConfig(
        state_dir=_path(section, "state_dir", folder, base.state_dir),
        run_dir=_path(section, "run_dir", folder, base.run_dir),
    )
    section.close()
    if config.state_dir == config.run_dir:
        remedy = "name a folder in memory, such as /run/..."
        raise DocumentError(section.at("run_dir"), "is also state_dir", remedy)
    # A unix socket's path must fit into sockaddr_un: 107 bytes and a zero.
    if len(str(config.serving_socket).encode()) > 107:
        raise _bad(section, "run_dir", str(config.run_dir), "write a path of at most 94 bytes")
    return config


def _cloud(section: Fields, folder: Path) -> CloudConfig:
    base = CloudConfig()
    url = section.text("bundles_url", base.bundles_url)
    if url and (urlsplit(url).scheme not in _URL_SCHEMES or not url.partition("://")[2]):
        raise _bad(section, "bundles_url", url, "write https://..., http://... or file:///...")
    endpoint = section.text("deep_endpoint", base.deep_endpoint)
    if endpoint:
        _parse_address(section, "deep_endpoint", endpoint)
    pem = {
        key: _path(section, key, folder) if section.has(key) else None
        for key in ("bundles_ca", "deep_ca", "deep_certificate", "deep_key")
    }
    if (pem["deep_certificate"] is None) != (pem["deep_key"] is None):
        raise DocumentError(
            section.path, "has one of deep_certificate and deep_key", "write both or neither"
        )
    config = CloudConfig(
        bundles_url=url,
        poll_interval_s=section.number("poll_interval_s", 0.1, 86400, base.poll_interval_s),
        connect_timeout_s=section.number("connect_timeout_s", 0.1, 60, base.connect_timeout_s),
        request_timeout_s=section.number("request_timeout_s", 0.1, 600, base.request_timeout_s),
        deep_endpoint=endpoint,
        deep_server_name=section.text("deep_server_name", base.deep_server_name, 253),
        **pem,
    )
    section.close()
    return config


def _journal(section: Fields) -> JournalConfig:
    config = JournalConfig(size_mib=section.integer("size_mib", 1, 4096, JournalConfig().size_mib))
    section.close()
    return config


def _answers(section: Fields) -> AnswersConfig:
    base = AnswersConfig()
    config = AnswersConfig(
        keep_hours=section.number("keep_hours", 1, 168, base.keep_hours),
        cap_mib=section.integer("cap_mib", 1, 4096, base.cap_mib),
    )
    section.close()
    return config


def _admission(section: Fields) -> AdmissionConfig:
    base = AdmissionConfig()
    low = section.integer("min_concurrency", 1, 1024, base.min_concurrency)
    config = AdmissionConfig(
        min_concurrency=low,
        max_concurrency=section.integer(
            "max_concurrency", low, 1024, max(low, base.max_concurrency)
        ),
        max_request_kib=section.integer("max_request_kib", 64, 65536, base.max_request_kib),
    )
    section.close()
    return config


def _log(section: Fields) -> LogConfig:
    base = LogConfig()
    config = LogConfig(
        level=section.choice("level", _LEVELS, base.level),
        format=section.choice("format", _FORMATS, base.format.value),
    )
    section.close()
    return config


def _address(section: Fields, key: str, default: Address) -> Address:
    return _parse_address(section, key, section.text(key, default.target))


def _parse_address(section: Fields, key: str, text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    digits = port.isascii() and port.isdigit()
    if not colon or not _HOST.fullmatch(host) or not digits or not 1 <= int(port) <= 65535:
        raise _bad(section, key, text, "write host:port with a port in [1, 65535]")
    return Address(host=host, port=int(port))


def _path(section: Fields, key: str, folder: Path, default: Path | None = None) -> Path:
    text = section.text(key, None if default is None else str(default))
    if not text or "\0" in text:
        raise _bad(section, key, text, "write a path")
    return folder / text


def _bad(section: Fields, key: str, value: str, remedy: str) -> DocumentError:
    return DocumentError(section.at(key), f"is {value!r:.60}", remedy)


def _said(document: Mapping[str, object], key: str) -> bool:
    section, _, name = key.partition(".")
    table = document.get(section)
    return isinstance(table, Mapping) and name in table


def _flatten(value: object, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield ``section.key`` and its value as it would be written."""
    if is_dataclass(value) and not isinstance(value, Address | type):
        for field in fields(value):
            inner = f"{prefix}.{field.name}" if prefix else field.name
            yield from _flatten(getattr(value, field.name), inner)
    else:
        yield prefix, "" if value is None else str(value)

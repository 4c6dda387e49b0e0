"""The gateway's configuration as one frozen tree.

Owns what may be configured and the defaults; ``config_file`` reads it and knows the ranges.
A key in the file has the name of the field here. Secrets are paths; no secret is ever a
value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path


class ClientCertificates(StrEnum):
    """Whether a register must show a certificate that the configured CA signed.

    gRPC's Python server can demand a certificate or not ask for one; it cannot ask and go on
    without, so there is no "optional".
    """

    REQUIRED = "required"
    OFF = "off"


class LogFormat(StrEnum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen. Port 0 lets the system choose; a file cannot say it."""

    host: str
    port: int

    @property
    def target(self) -> str:
        """``host:port``, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Which store this box stands in. ``time_zone`` is an IANA name."""

    store_id: str
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenConfig:
    """The three doors.

    ``advertised_host`` is what registers are told to call; empty: the host of ``serving``,
    unless that is a wildcard, then this machine's name.
    """

    # Registers sit on the store's network, so these two doors face it, behind TLS.
    serving: Address = Address(host="0.0.0.0", port=8443)
    control: Address = Address(host="0.0.0.0", port=8444)
    health: Address = Address(host="127.0.0.1", port=8480)
    advertised_host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """The box's certificate, and the CA that signs the registers' (PEM files)."""

    ca: Path
    certificate: Path
    key: Path
    client_certificates: ClientCertificates = ClientCertificates.REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class PathsConfig:
    """``state_dir`` survives a power cut; ``run_dir`` is memory (tmpfs)."""

    state_dir: Path = Path("/var/lib/posgate")
    run_dir: Path = Path("/run/posgate")

    @property
    def database(self) -> Path:
        """The durable inbox and outbox."""
        return self.state_dir / "inbox.sqlite3"

    @property
    def mirror_dir(self) -> Path:
        """The mirrored, verified part of the signed tree."""
        return self.state_dir / "mirror"

    @property
    def bundles_dir(self) -> Path:
        """Bundles by digest."""
        return self.state_dir / "bundles"

    @property
    def journal(self) -> Path:
        """The ring that serving writes and control drains."""
        return self.run_dir / "journal"

    @property
    def metrics_dir(self) -> Path:
        """prometheus_client's multi-process files, written by serving."""
        return self.run_dir / "metrics"

    @property
    def serving_socket(self) -> Path:
        """Where serving takes orders from control."""
        return self.run_dir / "serving.sock"

    @property
    def admin_socket(self) -> Path:
        """Where control answers the ``posgate`` command."""
        return self.run_dir / "admin.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustConfig:
    """What the box believes: the pinned root, and the ring whose pointers it follows."""

    root: Path
    ring: str = "fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig:
    """The cloud. Empty ``bundles_url`` or ``deep_endpoint``: there is none.

    ``bundles_url`` is where the signed tree lies (``https://``, ``http://``, ``file://``);
    ``bundles_ca`` is trusted for it beside the system's authorities.
    ``deep_endpoint`` is ``host:port`` of an Open Inference Protocol server behind TLS;
    empty ``deep_ca``, ``deep_certificate``, ``deep_key``: those of ``tls``.
    """

    bundles_url: str = ""
    bundles_ca: Path | None = None
    poll_interval_s: float = 30.0
    connect_timeout_s: float = 2.0
    request_timeout_s: float = 10.0
    deep_endpoint: str = ""
    deep_server_name: str = ""
    deep_ca: Path | None = None
    deep_certificate: Path | None = None
    deep_key: Path | None = None

    @property
    def poll_interval(self) -> timedelta:
        """How long to wait between two looks at the cloud."""
        return timedelta(seconds=self.poll_interval_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """The ring between serving and control: an hour of decisions at full load."""

    size_mib: int = 64

    @property
    def size_bytes(self) -> int:
        """The ring's size."""
        return self.size_mib * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersConfig:
    """How long and up to which size answers are kept to be given again."""

    keep_hours: float = 24.0
    cap_mib: int = 64

    @property
    def cap_bytes(self) -> int:
        """The byte cap."""
        return self.cap_mib * 1024 * 1024

    @property
    def keep(self) -> timedelta:
        """The age cap."""
        return timedelta(hours=self.keep_hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionConfig:
    """Bounds of the adaptive limit on calls decided at once."""

    min_concurrency: int = 4
    max_concurrency: int = 64
    max_request_kib: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """How the two processes log, to standard error."""

    level: str = "INFO"
    format: LogFormat = LogFormat.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """Everything the gateway may be told."""

    store: StoreConfig
    tls: TlsConfig
    trust: TrustConfig
    listen: ListenConfig = ListenConfig()
    paths: PathsConfig = PathsConfig()
    cloud: CloudConfig = CloudConfig()
    journal: JournalConfig = JournalConfig()
    answers: AnswersConfig = AnswersConfig()
    admission: AdmissionConfig = AdmissionConfig()
    log: LogConfig = LogConfig()

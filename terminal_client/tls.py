"""TLS of the terminal: credentials, noticing new files, and telling "refused" from "off".

gRPC reports a certificate that one side refuses as plain UNAVAILABLE, the same as a box that
is switched off. ``probe`` makes its own handshake and says which it is.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import grpc

from terminal_client.config import TlsConfig
from terminal_client.errors import ConfigError

# The client's half of an HTTP/2 connection's start: preface and an empty SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
_SETTINGS_TYPE = 4
_CERTIFICATE_WORDS = ("CERTIFICATE", "UNKNOWN_CA", "BAD_CERT", "HOSTNAME")


class TlsState(StrEnum):
    """What a handshake found."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_TLS = "not_tls"
    NOT_GRPC = "not_grpc"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFinding:
    """The state, and what the machine said, for people."""

    state: TlsState
    detail: str = ""
    protocol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """What a set of files looked like; differs when one was replaced."""

    stamps: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, tls: TlsConfig) -> FileStamp:
        """Return the stamp of the files now; a missing file has the stamp of nothing."""
        return cls(stamps=tuple(_stamp(path) for path in _files(tls)))


def credentials(tls: TlsConfig) -> grpc.ChannelCredentials:
    """Return channel credentials from the files as they are now.

    Raises: ConfigError: a file cannot be read, or is not what it should be.
    """
    _context(tls)
    certificate = tls.certificate.read_bytes() if tls.certificate else None
    key = tls.key.read_bytes() if tls.key else None
    return grpc.ssl_channel_credentials(tls.ca.read_bytes(), key, certificate)


def probe(target: str, tls: TlsConfig, timeout_s: float) -> TlsFinding:
    """Return what a handshake with ``target`` (``host:port``) finds; never raises.

    Waits for the server's first frame: under TLS 1.3 a server refuses a client's certificate
    only after the client believes that the handshake is over, and gRPC's does so by hanging up.
    """
    host, _, port = target.rpartition(":")
    host = host.strip("[]")
    try:
        context = _context(tls)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, int(port)), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=tls.server_name or host) as secure,
        ):
            return _first_frame(secure)
    except ConfigError as error:
        return TlsFinding(state=TlsState.REJECTED, detail=str(error))
    except ssl.SSLError as error:
        return TlsFinding(state=_state_of(error), detail=error.reason or str(error))
    except (OSError, ValueError) as error:
        return TlsFinding(state=TlsState.UNREACHABLE, detail=str(error) or type(error).__name__)


def _first_frame(secure: ssl.SSLSocket) -> TlsFinding:
    protocol = secure.version() or ""
    try:
        secure.sendall(_PREFACE)
        answer = secure.recv(9)
    except ConnectionError:
        answer = b""
    if not answer:
        return TlsFinding(
            state=TlsState.REJECTED,
            detail="the server hung up on our certificate",
            protocol=protocol,
        )
    if len(answer) < 4 or answer[3] != _SETTINGS_TYPE:
        return TlsFinding(state=TlsState.NOT_GRPC, detail="answers no HTTP/2", protocol=protocol)
    return TlsFinding(state=TlsState.ACCEPTED, protocol=protocol)


def _state_of(error: ssl.SSLError) -> TlsState:
    words = f"{error.reason or ''} {error}".upper()
    if isinstance(error, ssl.SSLCertVerificationError) or any(
        word in words for word in _CERTIFICATE_WORDS
    ):
        return TlsState.REJECTED
    return TlsState.NOT_TLS


def _context(tls: TlsConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(tls.ca))
    except (OSError, ValueError) as error:
        raise ConfigError(
            "tls", "tls.ca", f"cannot be used ({error})", "name a PEM file"
        ) from error
    if tls.certificate is None or tls.key is None:
        return context
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "tls", "tls.certificate", f"and key cannot be used ({error})", "name PEM files that fit"
        ) from error
    return context


def _files(tls: TlsConfig) -> tuple[Path, ...]:
    return tuple(path for path in (tls.ca, tls.certificate, tls.key) if path is not None)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        facts = path.stat()
    except OSError:
        return (0, 0, 0)
    return (facts.st_mtime_ns, facts.st_size, facts.st_ino)

"""The box's side of TLS: server credentials that follow the files they were read from.

Owns reading PEM files and noticing that they changed. Refuses to go on with a pair that does
not fit together: a renewed certificate that cannot be used leaves the old one in force.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509

from gateway.config import ClientCertificates, TlsConfig

logger = logging.getLogger(__name__)


class TlsFilesError(Exception):
    """The PEM files cannot be used; ``path`` names the first that is wrong."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


def check_files(tls: TlsConfig) -> None:
    """Prove that certificate, key and CA can be read and fit together.

    Raises: TlsFilesError: they cannot or do not.
    """
    for path in (tls.ca, tls.certificate, tls.key):
        _read(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (ssl.SSLError, OSError) as exc:
        raise TlsFilesError(tls.key, "is not the key of tls.certificate") from exc
    try:
        context.load_verify_locations(tls.ca)
    except (ssl.SSLError, OSError) as exc:
        raise TlsFilesError(tls.ca, "holds no CA certificate") from exc


def certificate_not_after(path: Path) -> datetime:
    """Return when the first certificate in ``path`` ends, aware UTC.

    Raises: TlsFilesError: it cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(_read(path)).not_valid_after_utc
    except ValueError as exc:
        raise TlsFilesError(path, "is not a PEM certificate") from exc


def server_credentials(tls: TlsConfig) -> grpc.ServerCredentials:
    """Return credentials that reload the files when they change, without a restart.

    Raises: TlsFilesError: they cannot be used now.
    """
    check_files(tls)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(tls),
        # The stubs leave out that None is allowed and means "as before".
        cast("Callable[[], grpc.ServerCertificateConfiguration]", _reloader(tls)),
        require_client_authentication=tls.client_certificates is ClientCertificates.REQUIRED,
    )


def _configuration(tls: TlsConfig) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(_read(tls.key), _read(tls.certificate))], root_certificates=_read(tls.ca)
    )


def _reloader(tls: TlsConfig) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Return what gRPC calls before each handshake: None means "as before"."""
    stamps = _stamps(tls)

    def reload() -> grpc.ServerCertificateConfiguration | None:
        nonlocal stamps
        current = _stamps(tls)
        if current == stamps:
            return None
        stamps = current
        try:
            check_files(tls)
            fresh = _configuration(tls)
        except TlsFilesError as exc:
            logger.warning("keeping the certificate in force: %s", exc)
            return None
        logger.info("serving with the renewed certificate %s", tls.certificate)
        return fresh

    return reload


def _stamps(tls: TlsConfig) -> tuple[tuple[int, int], ...]:
    stamps = []
    for path in (tls.ca, tls.certificate, tls.key):
        try:
            found = os.stat(path)
        except OSError:
            stamps.append((0, 0))
        else:
            stamps.append((found.st_mtime_ns, found.st_ino))
    return tuple(stamps)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise TlsFilesError(path, f"cannot be read ({exc.strerror})") from exc

"""What a key in TUF metadata is, whatever way it is written.

Owns decoding: one key has one value here, so that it counts as one signer. Refuses spellings
that nobody's tool writes (upper-case digits, other point encodings) instead of guessing.
"""

from __future__ import annotations

import base64
import binascii
import re

_ED25519 = re.compile(r"[0-9a-f]{64}\Z")
_PEM = re.compile(
    r"\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]{1,400}?)\s*-----END PUBLIC KEY-----\s*\Z"
)
# SubjectPublicKeyInfo of an uncompressed point on P-256 (RFC 5480), up to the point itself.
_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_P256_POINT_BYTES = 65
_ECDSA_KEYTYPES = ("ecdsa", "ecdsa-sha2-nistp256")


def decoded_key(keytype: str, scheme: str, public: str) -> bytes | None:
    """Return the key: 32 bytes for ed25519, the uncompressed P-256 point (65) for ECDSA.

    None: a scheme this version does not know, or a key that cannot be read.
    """
    if scheme == "ed25519" and keytype == "ed25519":
        return bytes.fromhex(public) if _ED25519.match(public) else None
    if scheme == "ecdsa-sha2-nistp256" and keytype in _ECDSA_KEYTYPES:
        return _p256_point(public)
    return None


def _p256_point(pem: str) -> bytes | None:
    found = _PEM.match(pem)
    if found is None:
        return None
    try:
        der = base64.b64decode("".join(found.group(1).split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    point = der.removeprefix(_P256)
    uncompressed = len(point) == _P256_POINT_BYTES and point[0] == 4
    return point if uncompressed and len(der) == len(_P256) + _P256_POINT_BYTES else None

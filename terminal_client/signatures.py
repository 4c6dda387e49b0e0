"""Signature schemes of the trust check, by ``cryptography``: ed25519 and ecdsa-sha2-nistp256."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from terminal_client.core.trust_metadata import PublicKey


def verify_signature(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Tell whether ``key`` made ``signature`` over ``message``.

    A scheme this version does not know, or a key that cannot be read, counts as not signed:
    never raises.
    """
    decoded = key.decoded
    if decoded is None:
        return False
    try:
        if key.scheme == "ed25519":
            Ed25519PublicKey.from_public_bytes(decoded).verify(signature, message)
        else:
            point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), decoded)
            point.verify(signature, message, ECDSA(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True

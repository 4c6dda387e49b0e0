"""Signature schemes of the trust check, by ``cryptography``: ed25519 and ecdsa-sha2-nistp256."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from terminal_client.core.trust_metadata import PublicKey

_ECDSA_KEYTYPES = ("ecdsa", "ecdsa-sha2-nistp256")


def verify_signature(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Tell whether ``key`` made ``signature`` over ``message``.

    A scheme this version does not know, or a key that cannot be read, counts as not signed:
    never raises.
    """
    try:
        if key.scheme == "ed25519" and key.keytype == "ed25519":
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public)).verify(signature, message)
            return True
        if key.scheme == "ecdsa-sha2-nistp256" and key.keytype in _ECDSA_KEYTYPES:
            return _verify_ecdsa(key.public, signature, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return False


def _verify_ecdsa(pem: str, signature: bytes, message: bytes) -> bool:
    public = load_pem_public_key(pem.encode())
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        return False
    public.verify(signature, message, ECDSA(SHA256()))
    return True

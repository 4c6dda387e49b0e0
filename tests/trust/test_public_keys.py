"""One key has one value, however it is written; what nobody's tool writes is no key."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from terminal_client.core.public_keys import decoded_key

ED = "ed25519"
ECDSA = "ecdsa-sha2-nistp256"
RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
POINT = ec.generate_private_key(ec.SECP256R1()).public_key()
PEM = POINT.public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
).decode()
UNCOMPRESSED = POINT.public_bytes(
    serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
)


def test_a_key_is_its_bytes() -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*RAW)
    assert decoded_key(ED, ED, key.hex()) == key
    assert decoded_key(ECDSA, ECDSA, PEM) == UNCOMPRESSED
    assert decoded_key("ecdsa", ECDSA, f"\n{PEM}\n\n") == UNCOMPRESSED


def pem(der: bytes) -> str:
    body = base64.b64encode(der).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"


OTHER_CURVE = ec.generate_private_key(ec.SECP384R1()).public_key()


@pytest.mark.parametrize(
    ("keytype", "scheme", "public"),
    [
        (ED, ED, "AB" * 32),
        (ED, ED, "ab" * 31),
        ("rsa", "rsassa-pss-sha256", PEM),
        (ED, ECDSA, PEM),
        (ECDSA, ECDSA, "no key"),
        (ECDSA, ECDSA, "-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n"),
        (ECDSA, ECDSA, pem(UNCOMPRESSED)),
        (ECDSA, ECDSA, pem(b"")),
        (
            ECDSA,
            ECDSA,
            OTHER_CURVE.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ).decode(),
        ),
    ],
    ids=[
        "upper case",
        "short",
        "RSA",
        "mixed",
        "no PEM",
        "no base64",
        "bare point",
        "empty",
        "P-384",
    ],
)
def test_another_spelling_is_no_key(keytype: str, scheme: str, public: str) -> None:
    assert decoded_key(keytype, scheme, public) is None

"""A bundle is loaded whole and unharmed, or not at all."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import pytest

from terminal_client.core import fallback
from terminal_client.core.fallback import FallbackBundle, digest_of, pack
from terminal_client.core.freshness import Freshness
from terminal_client.core.reading import DocumentError
from tests.rules.tier.documents import AS_OF, bundle, document


def test_the_same_document_gives_the_same_bytes() -> None:
    assert pack(document()) == pack(dict(reversed(document().items())))
    assert json.loads(gzip.decompress(pack(document()))) == document()


def test_the_artifact_tells_age_and_freshness() -> None:
    artifact = bundle().artifact(AS_OF + timedelta(days=8))
    assert artifact.kind == "rules"
    assert artifact.freshness is Freshness.STALE
    assert artifact.age == timedelta(days=8)
    assert artifact.digest.startswith("sha256:")


def damaged() -> dict[str, bytes]:
    raw = pack(document())
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 1
    return {
        "empty": b"",
        "no gzip": b"{}",
        "cut off": raw[:-20],
        "flipped bit": bytes(flipped),
        "no JSON": gzip.compress(b"{"),
        "no text": gzip.compress(b'"\xff"'),
        "no object": gzip.compress(b"[]"),
        "two members": raw + raw,
        "trailing bytes": raw + b"x",
        "UTF-16": gzip.compress("{}".encode("utf-16")),
        "a key twice": gzip.compress(b'{"schema":1,"schema":1}'),
        "endless number": gzip.compress(b'{"schema":' + b"9" * 5_000 + b"}"),
        "too deep": gzip.compress(b"[" * 200_000),
    }


@pytest.mark.parametrize("name", damaged())
def test_damaged_bytes_are_refused(name: str) -> None:
    raw = damaged()[name]
    with pytest.raises(DocumentError):
        FallbackBundle.load(raw, digest_of(raw))


def test_bytes_that_are_not_the_digest_are_refused_before_they_are_read() -> None:
    with pytest.raises(DocumentError, match="does not have its digest"):
        FallbackBundle.load(pack(document()), "sha256:" + "0" * 64)


def test_a_bundle_that_unpacks_to_too_much_is_refused_before_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fallback, "LONGEST_DOCUMENT", 1_000)
    raw = pack({"pad": "x" * 2_000})
    with pytest.raises(DocumentError, match="unpacks to too much"):
        FallbackBundle.load(raw, digest_of(raw))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"schema": 2}, "schema"),
        ({"surprise": 1}, "surprise"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"as_of": "2017-11-27T05:00:00"}, "as_of"),
        ({"as_of": "1066-10-14T09:00:00+00:00"}, "as_of"),
        ({"policy": {}}, "policy.modes"),
        ({"rules": {}}, "rules"),
        ({"promotions": {}}, "promotions"),
        ({"coupons": []}, "coupons"),
        ({"tables": []}, "tables"),
        ({"time_zone": {"name": "x", "transitions": []}}, "time_zone.transitions"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_document_that_cannot_be_meant_is_refused_by_key(
    change: dict[str, object], path: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        bundle(**change)
    assert caught.value.path == path

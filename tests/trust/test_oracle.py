"""python-tuf's own verification, as a second opinion on ours and on the tree."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata
from tuf.api.serialization import DeserializationError
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from terminal_client.core.trust_errors import TrustError
from terminal_client.core.trust_metadata import read_envelope
from tests.trust.trees import NOW, Tree, check


@pytest.mark.parametrize("role", ["1.root", "targets", "rules", "fleet"])
def test_the_signed_bytes_are_those_of_python_tuf(tree: Tree, role: str) -> None:
    raw = tree.read(role)
    kind = "root" if role.endswith("root") else "targets"
    assert read_envelope(raw, role, kind).signed == Metadata[Any].from_bytes(raw).signed_bytes


def test_a_standard_tuf_client_accepts_the_whole_tree(tree: Tree) -> None:
    tree.repository.rotate_root_key(now=datetime.now(UTC))
    tree.repository.publish("models", "edge", "1.0.0", b"model", NOW, now=datetime.now(UTC))
    for role in ("rules", "fleet"):
        document = Metadata[Any].from_bytes(tree.read(role))
        assert document.signed.expires == NOW + timedelta(days=90)
    trusted = TrustedMetadataSet(tree.pinned, EnvelopeType.METADATA)
    # The tree is from March; judge it on the day after it was signed.
    trusted.reference_time = NOW + timedelta(hours=1)
    trusted.update_root(tree.read("2.root"))
    trusted.update_timestamp(tree.read("timestamp"))
    trusted.update_snapshot(tree.read("snapshot"))
    trusted.update_targets(tree.read("targets"))
    for role in ("models", "rules", "features", "lab", "one-store", "region", "fleet"):
        trusted.update_delegated_targets(tree.read(role), role, "targets")
    rules: Any = trusted["rules"]
    assert set(rules.targets) == {"rules/store/1.0.0.bundle"}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_ours_refuses_whatever_python_tuf_refuses(tree: Tree, data: st.DataObject) -> None:
    """Signatures dropped, repeated and altered at random on the top-level targets."""
    document = json.loads(tree.read("targets"))
    signatures = document["signatures"]
    count = data.draw(st.integers(0, len(signatures)))
    kept = [dict(entry) for entry in signatures[:count]]
    for entry in kept:
        if data.draw(st.booleans()):
            place = data.draw(st.integers(0, 127))
            digit = data.draw(st.sampled_from("0123456789abcdef"))
            entry["sig"] = entry["sig"][:place] + digit + entry["sig"][place + 1 :]
    document["signatures"] = kept
    raw = json.dumps(document).encode()
    try:
        parsed = Metadata[Any].from_bytes(raw)
        Metadata[Any].from_bytes(tree.pinned).verify_delegate("targets", parsed)
    except (UnsignedMetadataError, DeserializationError):
        with pytest.raises(TrustError):
            check(tree, delegation=raw)
    else:
        check(tree, delegation=raw)

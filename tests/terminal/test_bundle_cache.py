"""The rules on a register's disk: swapped whole, verified again, never rolled back."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from posgate.v1 import bundle_pb2
from terminal_client.bundle_cache import BundleCache
from terminal_client.client import TerminalClient
from terminal_client.config import TrustConfig
from terminal_client.core.fallback import pack
from terminal_client.core.modes import Mode
from terminal_client.core.pin import BasketPin
from terminal_client.errors import ConfigError
from tests.terminal.conftest import Store, until
from tests.terminal.rules import AS_OF, WORKFLOWS, basket, rules_bundle, rules_digest


def folder(store: Store) -> Path:
    return store.path / "lane-1" / "bundles"


def reopened(store: Store) -> BundleCache:
    return BundleCache.open(
        folder(store), TrustConfig(root=store.path / "tree/metadata/1.root.json")
    )


def version(cache: BundleCache) -> str:
    held = cache.active
    return held.bundle.version if held else ""


def fetched(store: Store, *versions: str) -> None:
    """Let a terminal fetch these versions, one after the other, and close."""
    client = store.ready_terminal()
    for wanted in versions:
        store.publish(wanted)
        until(lambda wanted=wanted: _version(client) == wanted)  # type: ignore[misc]
    client.close()


def _version(client: TerminalClient) -> str:
    bundle = client.status().bundle
    return bundle.version if bundle else ""


def _conditions(client: TerminalClient) -> str:
    return " ".join(client.status().conditions)


def test_rules_are_there_after_a_restart_without_a_gateway(store: Store) -> None:
    box = store.box()
    fetched(store)
    box.stop()
    client = store.terminal()
    assert _version(client) == "1.0.0"
    assert client.evaluate(basket(), WORKFLOWS).results[0].offers


def test_the_last_two_bundles_stay_on_disk(store: Store) -> None:
    store.box()
    fetched(store, "1.1.0", "1.2.0")
    names = {path.name for path in folder(store).iterdir()}
    kept = {f"{rules_digest(rules_bundle(v))[7:]}.bundle" for v in ("1.1.0", "1.2.0")}
    assert names == {*kept, "state.json"}


def test_a_bundle_with_one_bit_flipped_is_not_used_and_the_one_before_is(store: Store) -> None:
    store.box()
    fetched(store, "1.1.0")
    path = folder(store) / f"{rules_digest(rules_bundle('1.1.0'))[7:]}.bundle"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    cache = reopened(store)
    assert version(cache) == "1.0.0"
    assert any("does not have its digest" in condition for condition in cache.conditions)


def test_a_withdrawn_bundle_does_not_stand_in_for_a_damaged_one(store: Store) -> None:
    store.box()
    client = store.ready_terminal()
    now = datetime.now(UTC)
    raw = rules_bundle("1.1.0")
    store.repository.publish("rules", "store", "1.1.0", raw, now, now=now, floor="1.1.0")
    store.repository.promote("fleet", "rules", "store", "1.1.0", now=now)
    until(lambda: _version(client) == "1.1.0")
    client.close()
    assert version(reopened(store)) == "1.1.0"
    (folder(store) / f"{rules_digest(raw)[7:]}.bundle").write_bytes(b"damaged")
    cache = reopened(store)
    assert version(cache) == ""
    assert any("the floor is 1.1.0" in condition for condition in cache.conditions)


def test_a_restart_forgets_neither_the_keys_nor_the_floors(store: Store) -> None:
    store.box()
    fetched(store, "1.1.0")
    state = json.loads((folder(store) / "state.json").read_bytes())
    assert set(state["memory"]["signers"]) == {"targets", "rules", "fleet"}
    assert reopened(store)._memory.signers["targets"].threshold == 2
    store.repository.replace_keys("fleet", now=datetime.now(UTC))
    assert _version(store.ready_terminal()) == "1.1.0"


def test_a_missing_bundle_is_fetched_again(store: Store) -> None:
    box = store.box()
    fetched(store)
    for path in folder(store).glob("*.bundle"):
        path.unlink()
    box.stop()
    assert version(reopened(store)) == ""
    store.gateways = ()
    store.box()
    assert _version(store.ready_terminal()) == "1.0.0"


TAMPERING = {
    "cut short": lambda raw: raw[: len(raw) // 2],
    "empty": lambda raw: b"",
    "not JSON": lambda raw: b"{" + raw,
    "an unknown schema": lambda raw: raw.replace(b'"schema": 1', b'"schema": 2'),
    "a signature altered": lambda raw: _with_evidence(raw, "delegation", "A" * 400),
    "another's pointer": lambda raw: _with_evidence(raw, "pointer", "bm90IHNpZ25lZA=="),
    "not base64": lambda raw: _with_evidence(raw, "release", "***"),
}


def _with_evidence(raw: bytes, key: str, value: str) -> bytes:
    state = json.loads(raw)
    for entry in state["held"]:
        entry[key] = value
    return json.dumps(state).encode()


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING.keys())
def test_tampered_proof_is_refused_and_fetched_anew(
    store: Store, tamper: Callable[[bytes], bytes]
) -> None:
    store.box()
    fetched(store)
    path = folder(store) / "state.json"
    path.write_bytes(tamper(path.read_bytes()))
    cache = reopened(store)
    assert version(cache) == ""
    assert cache.conditions
    assert _version(store.ready_terminal()) == "1.0.0"


def test_an_older_pointer_from_the_gateway_is_refused(store: Store) -> None:
    box = store.box()
    old = (store.path / "tree/metadata/fleet.json").read_bytes()
    client = store.ready_terminal()
    store.publish("1.1.0")
    until(lambda: _version(client) == "1.1.0")

    def replay(name: str, answer: Any) -> Any:
        if isinstance(answer, bundle_pb2.GetTrustResponse):
            answer.pointer = old
        if name == "Heartbeat":
            answer.fallback_digest = rules_digest(rules_bundle("1.0.0"))
        return answer

    box.control_fault = replay
    until(lambda: "below" in _conditions(client))
    assert _version(client) == "1.1.0"
    client.close()
    # Nor after a restart: what was believed is remembered.
    client = store.terminal()
    until(lambda: "below" in _conditions(client))
    assert _version(client) == "1.1.0"


def test_rolling_back_needs_no_download(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()
    store.publish("1.1.0")
    until(lambda: _version(client) == "1.1.0")
    asked: list[str] = []

    def note(name: str, answer: Any) -> Any:
        asked.append(name)
        return answer

    box.control_fault = note
    now = datetime.now(UTC)
    store.repository.promote("fleet", "rules", "store", "1.0.0", now=now)
    until(lambda: _version(client) == "1.0.0")
    assert "GetBundle" not in asked


def test_new_roots_are_followed_and_kept(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()
    for _ in range(3):
        store.repository.rotate_root_key(now=datetime.now(UTC))
    store.publish("1.1.0")
    until(lambda: _version(client) == "1.1.0")
    client.close()
    box.stop()
    assert reopened(store).root_version == 4
    assert version(reopened(store)) == "1.1.0"


def test_a_signed_bundle_that_is_no_rules_bundle_changes_nothing(store: Store) -> None:
    store.box()
    client = store.ready_terminal()
    store.publish("1.1.0", b"signed, and no bundle at all")
    until(lambda: "cannot be unpacked" in _conditions(client))
    assert _version(client) == "1.0.0"
    assert client.evaluate(basket(), WORKFLOWS).results[0].offers
    store.publish("1.2.0")
    until(lambda: _version(client) == "1.2.0")


def test_a_bundle_that_says_it_is_another_one_changes_nothing(store: Store) -> None:
    store.box()
    client = store.ready_terminal()
    store.publish("1.1.0", rules_bundle("1.0.9"))
    until(lambda: "bundle.version: is '1.0.9', not '1.1.0'" in _conditions(client))
    renamed = _with_fields(rules_bundle("1.2.0"), name="kiosk")
    store.publish("1.2.0", renamed)
    until(lambda: "bundle.name: is 'kiosk', not 'store'" in _conditions(client))
    assert _version(client) == "1.0.0"
    store.publish("1.3.0")
    until(lambda: _version(client) == "1.3.0")


def test_another_store_s_rules_are_refused_where_the_store_is_named(store: Store) -> None:
    store.box()
    client = store.ready_terminal(store_id="367")
    store.publish("1.1.0", _with_fields(rules_bundle("1.1.0"), store_id="368"))
    until(lambda: "bundle.store_id: is '368', not '367'" in _conditions(client))
    assert _version(client) == "1.0.0"
    client.close()
    # Nor from the disk: here lies what a terminal of any store has fetched.
    anyone = store.ready_terminal()
    until(lambda: _version(anyone) == "1.1.0")
    anyone.close()
    trust = TrustConfig(root=store.path / "tree/metadata/1.root.json")
    cache = BundleCache.open(folder(store), trust, "367")
    assert version(cache) == "1.0.0"
    assert any("bundle.store_id: is '368'" in condition for condition in cache.conditions)


def _with_fields(raw: bytes, **fields: str) -> bytes:
    return pack(json.loads(gzip.decompress(raw)) | fields)


@pytest.mark.parametrize("days", [-20_000, 200], ids=["1970", "+200 days"])
def test_a_wrong_clock_takes_no_rules_away(store: Store, days: int) -> None:
    store.box()
    fetched(store)

    def clock() -> datetime:
        return max(datetime.now(UTC) + timedelta(days=days), datetime(1970, 1, 2, tzinfo=UTC))

    client = TerminalClient.open(store.config(), clock)
    store.exits.callback(client.close)
    status = client.status()
    assert status.bundle is not None
    assert status.bundle.expired == (() if days < 0 else ("fleet", "rules"))
    assert client.evaluate(basket(), WORKFLOWS).results[0].offers
    store.publish("1.1.0")
    until(lambda: _version(client) == "1.1.0")


BROKEN_PIECES = {
    "a wrong checksum": lambda answer: setattr(answer, "chunk_crc32", 1),
    "nothing": lambda answer: answer.ClearField("chunk"),
    "too much": lambda answer: setattr(answer, "chunk", answer.chunk * 9),
    "another size": lambda answer: setattr(answer, "total_bytes", 7),
}


@pytest.mark.parametrize("spoil", BROKEN_PIECES.values(), ids=BROKEN_PIECES.keys())
def test_broken_pieces_are_not_taken(store: Store, spoil: Callable[[Any], None]) -> None:
    box = store.box()

    def fault(name: str, answer: Any) -> Any:
        if name == "GetBundle":
            spoil(answer)
        return answer

    box.control_fault = fault
    client = store.terminal()
    until(lambda: "broken pieces" in _conditions(client))
    assert client.status().bundle is None
    box.control_fault = lambda name, answer: answer
    until(lambda: _version(client) == "1.0.0")
    assert client.status().conditions == ()


def test_a_download_goes_on_where_it_ended(store: Store) -> None:
    box = store.box()
    offsets: list[int] = []
    raw = rules_bundle()

    def small(name: str, answer: Any) -> Any:
        if name == "GetBundle":
            offsets.append(len(raw) - len(answer.chunk))
            answer.chunk = answer.chunk[:100]
            answer.chunk_crc32 = zlib.crc32(answer.chunk)
        return answer

    box.control_fault = small
    partial = folder(store) / f"{rules_digest(raw)[7:]}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(raw[:250])
    assert _version(store.ready_terminal()) == "1.0.0"
    assert offsets[0] == 250
    assert not partial.exists()


def test_a_download_that_was_spoiled_on_disk_begins_anew(store: Store) -> None:
    store.box()
    raw = rules_bundle()
    partial = folder(store) / f"{rules_digest(raw)[7:]}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"\0" * len(raw))
    client = store.terminal()
    until(lambda: _version(client) == "1.0.0")


@pytest.mark.parametrize("content", [None, b"", b"{}"], ids=["missing", "empty", "unsigned"])
def test_a_root_that_cannot_be_pinned_is_an_error_at_once(
    store: Store, content: bytes | None
) -> None:
    path = store.path / "pinned.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"trust\.root"):
        store.terminal(trust=TrustConfig(root=path))


def test_a_basket_keeps_the_rules_it_began_with(store: Store) -> None:
    store.box()
    client = store.ready_terminal()
    store.publish("1.1.0", rules_bundle("1.1.0", percent=50))
    until(lambda: _version(client) == "1.1.0")
    cache = client._state.cache
    at = AS_OF + timedelta(days=1)
    old, new = rules_digest(rules_bundle()), rules_digest(rules_bundle("1.1.0", percent=50))

    def used(digest: str, issued: datetime = at) -> str:
        pin = BasketPin(rules_digest=digest, mode=Mode.EMERGENCY, issued=issued).encode()
        bundle = cache.for_pin(pin, at)
        assert bundle is not None
        return bundle.digest

    assert used(old) == old
    assert used(new) == new
    assert used(old, at - timedelta(minutes=31)) == new
    assert used("sha256:" + "0" * 64) == new

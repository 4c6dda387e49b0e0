"""What somebody on the wire, on the box, or with a stolen online key can and cannot do."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata, TargetFile
from tuf.api.serialization.json import JSONSerializer

from terminal_client.core import canonical_json
from terminal_client.core.trust import check_bundle, verify
from terminal_client.core.trust_errors import (
    DigestError,
    MetadataError,
    RollbackError,
    RootChainError,
    SelectionError,
    SignatureError,
    TrustError,
)
from terminal_client.core.trust_memory import Memory
from terminal_client.signatures import verify_signature
from tests.trust.trees import BUNDLE, FOLLOWED, NOW, Tree, check

OTHER = b"other bytes"


def unsigned(raw: bytes) -> bytes:
    document = json.loads(raw)
    document["signatures"] = []
    return json.dumps(document).encode()


def keep_signatures(raw: bytes, count: int, *, repeat: int = 1) -> bytes:
    document = json.loads(raw)
    document["signatures"] = document["signatures"][:count] * repeat
    return json.dumps(document).encode()


def edited(raw: bytes, change: Callable[[Any], None]) -> bytes:
    document = json.loads(raw)
    change(document["signed"])
    return json.dumps(document).encode()


def test_what_the_owner_signed_is_believed(tree: Tree) -> None:
    trusted = check(tree)
    assert (trusted.release.name, trusted.release.version) == ("store", "1.0.0")
    assert (trusted.release.kind, trusted.counter) == ("rules", 1)
    check_bundle(trusted.release, BUNDLE)


@pytest.mark.parametrize("document", ["delegation", "release", "pointer"])
def test_an_unsigned_document_is_refused(tree: Tree, document: str) -> None:
    raw = getattr(tree.evidence(), document)
    with pytest.raises(SignatureError) as caught:
        check(tree, **{document: unsigned(raw)})
    assert caught.value.valid_count == 0


def test_one_signature_of_two_is_refused(tree: Tree) -> None:
    with pytest.raises(SignatureError, match="targets has 1 of 2 signatures"):
        check(tree, delegation=keep_signatures(tree.read("targets"), 1))


def test_two_signatures_of_three_are_enough(tree: Tree) -> None:
    assert check(tree, delegation=keep_signatures(tree.read("targets"), 2)).counter == 1


def test_one_key_that_signed_three_times_has_signed_once(tree: Tree) -> None:
    with pytest.raises(SignatureError, match="1 of 2"):
        check(tree, delegation=keep_signatures(tree.read("targets"), 1, repeat=3))


def test_one_key_under_two_names_is_one_signer(tree: Tree) -> None:
    root = json.loads(tree.pinned)
    keyids = root["signed"]["roles"]["targets"]["keyids"]
    twin = "00" * 32
    root["signed"]["keys"][twin] = root["signed"]["keys"][keyids[0]]
    keyids.append(twin)
    pinned = Metadata[Any].from_bytes(json.dumps(root).encode())
    pinned.signatures.clear()
    for signer in tree.repository.keys.signers("root"):
        pinned.sign(signer, append=True)
    delegation = json.loads(tree.read("targets"))
    first = next(s for s in delegation["signatures"] if s["keyid"] == keyids[0])
    delegation["signatures"] = [first, first | {"keyid": twin}]
    evidence = replace(tree.evidence(), delegation=json.dumps(delegation).encode())
    with pytest.raises(SignatureError, match="1 of 2"):
        verify(evidence, FOLLOWED, pinned.to_bytes(JSONSerializer()), Memory(), verify_signature)


def _shouted(key: dict[str, Any]) -> dict[str, Any]:
    return key | {"keyval": {"public": key["keyval"]["public"].upper()}}


def _spaced(key: dict[str, Any]) -> dict[str, Any]:
    return key | {"keyval": {"public": key["keyval"]["public"] + "\n"}}


def _wrapped(key: dict[str, Any]) -> dict[str, Any]:
    head, *body, tail = key["keyval"]["public"].strip().split("\n")
    text = "".join(body)
    lines = [text[at : at + 48] for at in range(0, len(text), 48)]
    return key | {"keyval": {"public": "\r\n".join([head, *lines, tail])}}


def _renamed(key: dict[str, Any]) -> dict[str, Any]:
    return key | {"keytype": "ecdsa-sha2-nistp256"}


def _compressed(key: dict[str, Any]) -> dict[str, Any]:
    public = load_pem_public_key(key["keyval"]["public"].encode())
    assert isinstance(public, EllipticCurvePublicKey)
    prefix = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    der = prefix + public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    text = base64.b64encode(der).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{text[:64]}\n{text[64:]}\n-----END PUBLIC KEY-----\n"
    load_pem_public_key(pem.encode())
    return key | {"keyval": {"public": pem}}


@pytest.mark.parametrize(
    ("generate", "respell"),
    [
        (CryptoSigner.generate_ed25519, _shouted),
        (CryptoSigner.generate_ecdsa, _spaced),
        (CryptoSigner.generate_ecdsa, _wrapped),
        (CryptoSigner.generate_ecdsa, _renamed),
        (CryptoSigner.generate_ecdsa, _compressed),
    ],
    ids=["upper-case digits", "a blank line", "other lines", "a keytype's alias", "compressed"],
)
def test_one_key_spelled_in_two_ways_is_one_signer(
    tree: Tree,
    generate: Callable[[], CryptoSigner],
    respell: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    signer, twin = generate(), "00" * 32
    keyid = signer.public_key.keyid

    def delegate(signed: Any) -> None:
        key = signer.public_key.to_dict()
        signed.delegations.keys[keyid] = Key.from_dict(keyid, dict(key))
        signed.delegations.keys[twin] = Key.from_dict(twin, respell(key))
        role = signed.delegations.roles["rules"]
        role.keyids, role.threshold = [keyid, twin], 2

    release = json.loads(tree.read("rules"))
    signature = signer.sign(canonical_json.encode(release["signed"])).to_dict()
    release["signatures"] = [signature, signature | {"keyid": twin}]
    delegation = tree.forged("targets", delegate, "targets")
    with pytest.raises(SignatureError, match="rules has 1 of 2"):
        check(tree, delegation=delegation, release=json.dumps(release).encode())


@pytest.mark.parametrize("document", ["delegation", "release", "pointer"])
def test_a_signed_document_with_one_byte_changed_is_refused(tree: Tree, document: str) -> None:
    raw = getattr(tree.evidence(), document)
    changed = edited(raw, lambda signed: signed.update(version=signed["version"] + 1))
    with pytest.raises(SignatureError):
        check(tree, **{document: changed})


def test_a_key_of_another_role_signs_nothing(tree: Tree) -> None:
    stolen = tree.forged("rules", lambda _: None, "fleet", "models", "timestamp", "root")
    with pytest.raises(SignatureError, match="rules has 0 of 1"):
        check(tree, release=stolen)


def test_an_older_pointer_is_refused_once_a_newer_one_was_seen(tree: Tree) -> None:
    old = tree.evidence()
    tree.release("1.1.0", OTHER)
    seen = check(tree).memory
    with pytest.raises(RollbackError) as caught:
        check(tree, seen, pointer=old.pointer)
    assert (caught.value.role, caught.value.offered) == ("fleet", 2)


def test_a_newer_pointer_with_a_lower_counter_is_refused(tree: Tree) -> None:
    tree.release("1.1.0", OTHER)
    seen = check(tree).memory

    def lower(signed: Any) -> None:
        signed.version += 1
        (target,) = signed.targets.values()
        target.unrecognized_fields["custom"]["counter"] = 1

    with pytest.raises(RollbackError, match="counter 1, below 2"):
        check(tree, seen, pointer=tree.forged("fleet", lower, "fleet"))


def test_rolling_back_is_a_higher_counter_on_an_older_release(tree: Tree) -> None:
    tree.release("1.1.0", OTHER)
    seen = check(tree).memory
    assert tree.repository.promote("fleet", "rules", "store", "1.0.0", now=NOW) == 3
    trusted = check(tree, seen)
    assert (trusted.release.version, trusted.counter) == ("1.0.0", 3)


@pytest.mark.parametrize(
    ("document", "role"), [("delegation", "targets"), ("release", "rules"), ("pointer", "fleet")]
)
def test_documents_of_different_times_cannot_be_mixed(tree: Tree, document: str, role: str) -> None:
    old = tree.evidence()
    tree.release("1.1.0", OTHER)
    bumped = tree.forged("targets", bump, "targets")
    (tree.repository.path / "metadata" / "targets.json").write_bytes(bumped)
    seen = check(tree).memory
    with pytest.raises(TrustError) as caught:
        check(tree, seen, **{document: getattr(old, document)})
    assert isinstance(caught.value, RollbackError | SelectionError)
    assert caught.value.role in {role, "rules"}


def test_the_same_documents_again_are_no_rollback(tree: Tree) -> None:
    seen = check(tree).memory
    assert check(tree, seen).memory == seen


def test_a_ring_key_cannot_select_what_the_channel_has_not_signed(tree: Tree) -> None:
    def select_other(signed: Any) -> None:
        (target,) = signed.targets.values()
        target.unrecognized_fields["custom"].update(version="9.9.9", counter=9)

    with pytest.raises(SelectionError, match=r"has not signed rules/store/9\.9\.9\.bundle"):
        check(tree, pointer=tree.forged("fleet", select_other, "fleet"))


def test_a_ring_key_cannot_substitute_the_bytes(tree: Tree) -> None:
    def substitute(signed: Any) -> None:
        (target,) = signed.targets.values()
        target.unrecognized_fields["custom"].update(digest="sha256:" + "0" * 64, counter=9)

    with pytest.raises(SelectionError, match="other bytes"):
        check(tree, pointer=tree.forged("fleet", substitute, "fleet"))


def test_a_ring_key_cannot_select_below_the_channel_s_floor(tree: Tree) -> None:
    tree.release("1.1.0", OTHER, floor="1.1.0")
    tree.repository.promote("fleet", "rules", "store", "1.0.0", now=NOW)
    with pytest.raises(SelectionError, match=r"withdrawn .*1\.0\.0.* floor is 1\.1\.0"):
        check(tree)


def test_a_ring_key_cannot_sign_a_release(tree: Tree) -> None:
    def add(signed: Any) -> None:
        path = "rules/store/2.0.0.bundle"
        signed.targets[path] = TargetFile.from_data(path, OTHER, ["sha256"])
        (target,) = (t for p, t in signed.targets.items() if p.startswith("rings/"))
        target.unrecognized_fields["custom"].update(version="2.0.0", counter=9)

    with pytest.raises(SelectionError, match="has not signed"):
        check(tree, pointer=tree.forged("fleet", add, "fleet"))


def test_a_channel_key_speaks_for_its_own_paths_only(tree: Tree) -> None:
    """The models key signs a "rules" release: outside its delegation, so it does not count."""
    followed = replace(FOLLOWED, channel="models")

    def claim(signed: Any) -> None:
        (target,) = signed.targets.values()
        own = "rings/fleet/models/store.json"
        signed.targets = {own: target}

    evidence = replace(
        tree.evidence(), release=tree.read("models"), pointer=tree.forged("fleet", claim, "fleet")
    )
    with pytest.raises(SelectionError, match="has not signed models/store"):
        verify(evidence, followed, tree.pinned, Memory(), verify_signature)


def test_another_ring_s_pointer_is_not_ours(tree: Tree) -> None:
    tree.repository.promote("lab", "rules", "store", "1.0.0", now=NOW)
    with pytest.raises(SignatureError, match="fleet has 0 of 1"):
        check(tree, pointer=tree.read("lab"))


def test_a_ring_that_nobody_delegated_to_is_refused(tree: Tree) -> None:
    with pytest.raises(SelectionError, match="delegates to no 'mars'"):
        verify(
            tree.evidence(),
            replace(FOLLOWED, ring="mars"),
            tree.pinned,
            Memory(),
            verify_signature,
        )


@pytest.mark.parametrize(
    "raw", [OTHER, BUNDLE[:-1], BUNDLE + b"!", b"", BUNDLE[:-1] + bytes([BUNDLE[-1] ^ 1])]
)
def test_a_substituted_bundle_is_refused(tree: Tree, raw: bytes) -> None:
    with pytest.raises(DigestError):
        check_bundle(check(tree).release, raw)


def test_a_chain_of_new_roots_is_followed_from_the_pinned_one(tree: Tree) -> None:
    for _ in range(4):
        tree.repository.rotate_root_key(now=NOW)
    trusted = check(tree)
    assert trusted.memory.root_version == 5
    # None of the three first keys is left, and machines that pinned them still followed.
    first = set(json.loads(tree.pinned)["signed"]["roles"]["root"]["keyids"])
    last = set(json.loads(tree.repository.root)["signed"]["roles"]["root"]["keyids"])
    assert not first & last


def test_a_chain_with_a_missing_link_is_refused(tree: Tree) -> None:
    tree.repository.rotate_root_key(now=NOW)
    tree.repository.rotate_root_key(now=NOW)
    with pytest.raises(RootChainError, match="3 does not follow 1"):
        check(tree, roots=tree.evidence().roots[1:])
    with pytest.raises(RootChainError, match="2 does not follow 2"):
        check(tree, roots=tree.evidence().roots[:1] * 2)


@pytest.mark.parametrize("lacking", ["old", "new"])
def test_a_new_root_needs_the_old_keys_and_the_new_ones(tree: Tree, lacking: str) -> None:
    tree.repository.rotate_root_key(now=NOW)
    successor = json.loads(tree.read("2.root"))
    keys = {
        "old": set(json.loads(tree.pinned)["signed"]["roles"]["root"]["keyids"]),
        "new": set(successor["signed"]["roles"]["root"]["keyids"]),
    }
    shared = keys["old"] & keys["new"]
    # Two keys are shared: leave one shared signature and the lone one of the other side.
    lone = (keys["new"] if lacking == "old" else keys["old"]) - shared
    allowed = {sorted(shared)[0], *lone}
    successor["signatures"] = [s for s in successor["signatures"] if s["keyid"] in allowed]
    assert len(successor["signatures"]) == 2
    with pytest.raises(SignatureError, match="root has 1 of 2"):
        check(tree, roots=(json.dumps(successor).encode(),))


def test_a_stranger_s_root_is_refused(tree: Tree, tmp_path: Path) -> None:
    stranger = Tree.make(tmp_path / "stranger")
    stranger.repository.rotate_root_key(now=NOW)
    with pytest.raises(SignatureError, match="root has 0 of 2"):
        check(tree, roots=(stranger.read("2.root"),))
    with pytest.raises(SignatureError):
        verify(stranger.evidence(), FOLLOWED, tree.pinned, Memory(), verify_signature)


def test_an_older_root_chain_is_refused_once_a_newer_one_was_seen(tree: Tree) -> None:
    tree.repository.rotate_root_key(now=NOW)
    seen = check(tree).memory
    with pytest.raises(RollbackError, match="root has version 1, below 2"):
        check(tree, seen, roots=())


def test_a_new_key_lets_its_role_start_again_and_no_other(tree: Tree) -> None:
    """The way out after a stolen ring key has signed a counter of 2^53 - 1."""

    def exhaust(signed: Any) -> None:
        (target,) = signed.targets.values()
        target.unrecognized_fields["custom"]["counter"] = 2**53 - 1
        signed.version = 2**40

    stolen = tree.forged("fleet", exhaust, "fleet")
    seen = check(tree, pointer=stolen).memory
    tree.repository.rotate_root_key(now=NOW)
    with pytest.raises(RollbackError):
        check(tree, seen)
    old = tree.evidence()
    tree.repository.replace_keys("fleet", now=NOW)
    after = check(tree, seen).memory
    assert (after.counter, after.pointer_version) == (1, 3)
    with pytest.raises(SignatureError, match="fleet has 0 of 1"):
        check(tree, after, pointer=stolen)
    with pytest.raises(RollbackError, match="targets has version 1, below 2"):
        check(tree, after, delegation=old.delegation, pointer=stolen)


def test_the_same_keys_in_another_order_are_no_new_ones(tree: Tree) -> None:
    tree.release("1.1.0", OTHER)
    seen = check(tree).memory
    assert json.loads(tree.read("targets"))["signed"]["version"] == 1

    def respell(signed: Any) -> None:
        signed.version += 1
        (keyid,) = signed.delegations.roles["fleet"].keyids
        twin = Key.from_dict("00" * 32, signed.delegations.keys[keyid].to_dict())
        signed.delegations.keys[twin.keyid] = twin
        signed.delegations.roles["fleet"].keyids.insert(0, twin.keyid)

    def older(signed: Any) -> None:
        signed.version = 1

    changes = {
        "delegation": tree.forged("targets", respell, "targets"),
        "pointer": tree.forged("fleet", older, "fleet"),
    }
    with pytest.raises(RollbackError, match="fleet has version 1"):
        check(tree, seen, **changes)


@pytest.mark.parametrize("rotated_count", [1, 2])
def test_a_routine_rotation_of_root_keys_brings_nothing_old_back(
    tree: Tree, rotated_count: int
) -> None:
    old = tree.evidence()
    tree.release("2.0.0", OTHER, floor="2.0.0")
    seen = check(tree).memory
    for _ in range(rotated_count):
        tree.repository.rotate_root_key(now=NOW)
    documents = {"delegation": old.delegation, "release": old.release, "pointer": old.pointer}
    with pytest.raises(RollbackError, match="rules has version 2, below 3"):
        check(tree, seen, **documents)
    for document in ("release", "pointer"):
        with pytest.raises((RollbackError, SelectionError)):
            check(tree, seen, **{document: documents[document]})
    assert check(tree, seen).release.version == "2.0.0"


@pytest.mark.parametrize(("replaced_count", "back"), [(1, False), (2, True)])
def test_the_delegation_starts_again_only_when_its_old_keys_can_sign_no_more(
    tree: Tree, replaced_count: int, back: bool
) -> None:
    original = tree.read("targets")
    advanced = tree.forged("targets", lambda signed: setattr(signed, "version", 9), "targets")
    seen = check(tree, delegation=advanced).memory
    keys = tree.repository.keys
    stale = [signer.public_key.keyid for signer in keys.signers("targets")][:replaced_count]
    root = Metadata[Any].from_bytes(tree.pinned)
    root.signed.version += 1
    for keyid in stale:
        root.signed.revoke_key(keyid, "targets")
        root.signed.add_key(keys.add("targets").public_key, "targets")
    root.signatures.clear()
    for signer in keys.signers("root"):
        root.sign(signer, append=True)
    roots = (root.to_bytes(JSONSerializer()),)
    for keyid in stale:
        keys.remove(keyid, "targets")
    renewed = tree.forged("targets", lambda signed: setattr(signed, "version", 2), "targets")
    if back:
        assert check(tree, seen, roots=roots, delegation=renewed).memory.delegation_version == 2
        with pytest.raises(SignatureError):
            check(tree, seen, roots=roots, delegation=original)
    else:
        for lower in (renewed, original):
            with pytest.raises(RollbackError, match="below 9"):
                check(tree, seen, roots=roots, delegation=lower)


def test_a_floor_once_seen_stays_whatever_the_channel_signs_later(tree: Tree) -> None:
    tree.release("2.0.0", OTHER, floor="2.0.0")
    seen = check(tree).memory
    assert seen.floor("store") == "2.0.0"

    def forget(signed: Any) -> None:
        signed.version += 1
        for target in signed.targets.values():
            target.unrecognized_fields["custom"].pop("floor", None)

    tree.repository.promote("fleet", "rules", "store", "1.0.0", now=NOW)
    forgotten = tree.forged("rules", forget, "rules")
    with pytest.raises(SelectionError, match=r"the floor is 2\.0\.0"):
        check(tree, seen, release=forgotten)
    tree.repository.replace_keys("rules", now=NOW)
    with pytest.raises(SelectionError, match=r"the floor is 2\.0\.0"):
        check(tree, seen, release=tree.forged("rules", forget, "rules"))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("not JSON", lambda raw: raw[:-1]),
        ("empty", lambda raw: b""),
        ("not UTF-8", lambda raw: raw.replace(b"targets", b"targ\xff\xfets", 1)),
        ("a list", lambda raw: b"[]"),
        ("too deep", lambda raw: b"[" * 100_000 + b"]" * 100_000),
        ("a repeated key", lambda raw: raw.replace(b'"signed": {', b'"signed": {"version": 1,', 1)),
        ("a float", lambda raw: raw.replace(b'"version": 1', b'"version": 1.0', 1)),
        ("not a number", lambda raw: raw.replace(b'"version": 1', b'"version": NaN', 1)),
        ("version zero", lambda raw: raw.replace(b'"version": 1', b'"version": 0', 1)),
        (
            "a digit too many",
            lambda raw: raw.replace(b'"version": 1', b'"version": ' + b"9" * 5000, 1),
        ),
        ("another TUF", lambda raw: raw.replace(b'"spec_version": "1', b'"spec_version": "2', 1)),
        ("another kind", lambda raw: raw.replace(b'"_type": "targets"', b'"_type": "root"', 1)),
        ("no expiry", lambda raw: raw.replace(b'"expires"', b'"expired"', 1)),
        ("an expiry in words", lambda raw: raw.replace(b"2027-03-01T", b"2027-03-01 ", 1)),
        ("a bad expiry", lambda raw: raw.replace(b"2027-03-01T", b"2027-13-01T", 1)),
        ("a bad signature", lambda raw: raw.replace(b'"sig": "', b'"sig": "zz', 1)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_document_is_refused_by_name(
    tree: Tree, name: str, change: Callable[[bytes], bytes]
) -> None:
    raw = tree.read("targets")
    assert change(raw) != raw
    with pytest.raises(MetadataError) as caught:
        check(tree, delegation=change(raw))
    assert caught.value.role == "targets"


@pytest.mark.parametrize("document", ["delegation", "release", "pointer"])
def test_too_large_a_document_is_refused_unread(tree: Tree, document: str) -> None:
    with pytest.raises(MetadataError, match="more than 524288"):
        check(tree, **{document: getattr(tree.evidence(), document) + b" " * 524_288})


@pytest.mark.parametrize(
    "filling",
    [b"[],", b"{},", b"1,", b'"a",', b'{"a":1},', b"[[]],"],
    ids=["lists", "objects", "numbers", "texts", "pairs", "nested lists"],
)
def test_a_document_full_of_nothing_costs_little_before_its_signatures(
    tree: Tree, filling: bytes
) -> None:
    full = b'{"signed": [' + filling * (520_000 // len(filling)) + b'0], "signatures": []}'
    began = time.process_time()
    with pytest.raises(MetadataError, match="more than 50000 values"):
        check(tree, delegation=full)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "custom",
    [
        {"version": "1.0.0", "counter": 9},
        {"version": "1.0.0", "digest": "sha256:" + "0" * 64},
        {"version": "one", "digest": "sha256:" + "0" * 64, "counter": 1},
        {"version": "1.0.0", "digest": "md5:0", "counter": 1},
        {"version": "1.0.0", "digest": "sha256:" + "0" * 64, "counter": 0},
        {"version": "../../etc", "digest": "sha256:" + "0" * 64, "counter": 1},
    ],
    ids=["no digest", "no counter", "no version", "another hash", "counter zero", "a path"],
)
def test_a_malformed_pointer_is_refused(tree: Tree, custom: dict[str, object]) -> None:
    def replace_custom(signed: Any) -> None:
        (target,) = signed.targets.values()
        target.unrecognized_fields["custom"] = custom

    with pytest.raises(SelectionError):
        check(tree, pointer=tree.forged("fleet", replace_custom, "fleet"))


def test_a_key_that_cannot_be_read_has_not_signed(tree: Tree) -> None:
    root = json.loads(tree.pinned)
    for keyid in root["signed"]["roles"]["targets"]["keyids"]:
        root["signed"]["keys"][keyid]["keyval"]["public"] = "not a key"
    pinned = Metadata[Any].from_bytes(json.dumps(root).encode())
    pinned.signatures.clear()
    for signer in tree.repository.keys.signers("root"):
        pinned.sign(signer, append=True)
    with pytest.raises(SignatureError, match="targets has 0 of 2"):
        verify(
            tree.evidence(),
            FOLLOWED,
            pinned.to_bytes(JSONSerializer()),
            Memory(),
            verify_signature,
        )


def test_an_ecdsa_key_signs_as_well_and_only_on_its_curve(tree: Tree) -> None:
    p256, p384 = CryptoSigner.generate_ecdsa(), CryptoSigner(ec.generate_private_key(SECP384R1()))
    for signer, believed in ((p256, True), (p384, False)):

        def delegate(signed: Any, signer: CryptoSigner = signer) -> None:
            signed.add_key(signer.public_key, "rules")

        release = Metadata[Any].from_bytes(tree.read("rules"))
        release.signatures.clear()
        release.sign(signer)
        changes = {
            "delegation": tree.forged("targets", delegate, "targets"),
            "release": release.to_bytes(JSONSerializer()),
        }
        if believed:
            assert check(tree, **changes).counter == 1
        else:
            with pytest.raises(SignatureError):
                check(tree, **changes)


def bump(signed: Any) -> None:
    signed.version += 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda signed: signed["roles"].pop("targets"), "has no role 'targets'"),
        (lambda signed: signed.pop("keys"), "names"),
        (lambda signed: signed["roles"]["targets"]["keyids"].append("ff"), "names 'ff'"),
        (lambda signed: signed["roles"]["targets"].update(threshold=0), "threshold"),
    ],
    ids=["no targets", "no keys", "an unknown key", "threshold zero"],
)
def test_a_root_that_cannot_be_meant_is_refused(
    tree: Tree, change: Callable[[Any], None], problem: str
) -> None:
    document = json.loads(tree.pinned)
    change(document["signed"])
    with pytest.raises((MetadataError, SignatureError), match=problem):
        verify(
            tree.evidence(),
            FOLLOWED,
            json.dumps(document).encode(),
            Memory(),
            verify_signature,
        )


def test_more_roots_than_anybody_rotates_are_refused(tree: Tree) -> None:
    with pytest.raises(RootChainError, match="1025 successors"):
        check(tree, roots=(b"{}",) * 1025)


def test_two_pointers_for_one_channel_need_a_name(tree: Tree) -> None:
    tree.repository.publish("rules", "other", "1.0.0", OTHER, NOW, now=NOW)
    tree.repository.promote("fleet", "rules", "other", "1.0.0", now=NOW)
    assert check(tree).release.name == "store"
    unnamed = replace(FOLLOWED, name="")
    with pytest.raises(SelectionError, match=r"has 2 pointers for rules/\*, not 1"):
        verify(tree.evidence(), unnamed, tree.pinned, Memory(), verify_signature)


def test_the_only_pointer_needs_no_name(tree: Tree) -> None:
    unnamed = replace(FOLLOWED, name="")
    trusted = verify(tree.evidence(), unnamed, tree.pinned, Memory(), verify_signature)
    assert trusted.release.name == "store"


@pytest.mark.parametrize("custom", [{"kind": 1}, {"kind": "rules", "floor": "x"}, {}])
def test_a_release_that_does_not_say_what_it_is_is_refused(
    tree: Tree, custom: dict[str, object]
) -> None:
    def replace_custom(signed: Any) -> None:
        (target,) = signed.targets.values()
        target.unrecognized_fields["custom"] = custom

    with pytest.raises(SelectionError):
        check(tree, release=tree.forged("rules", replace_custom, "rules"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda s: s["targets"]["rules/store/1.0.0.bundle"].update(custom=[]), "custom"),
        (
            lambda s: s["targets"]["rules/store/1.0.0.bundle"]["hashes"].update(sha256="0"),
            "SHA-256",
        ),
        (lambda s: s["targets"]["rules/store/1.0.0.bundle"].update(length=-1), "length"),
        (lambda s: s.pop("targets"), "targets"),
    ],
    ids=["custom is a list", "a short hash", "a negative length", "no targets"],
)
def test_a_channel_s_malformed_document_is_refused_even_when_signed(
    tree: Tree, change: Callable[[Any], None], problem: str
) -> None:
    document = json.loads(tree.read("rules"))
    change(document["signed"])
    signed = canonical_json.encode(document["signed"])
    (signer,) = tree.repository.keys.signers("rules")
    document["signatures"] = [signer.sign(signed).to_dict()]
    with pytest.raises(MetadataError, match=problem) as caught:
        check(tree, release=json.dumps(document).encode())
    assert caught.value.role == "rules"


def test_a_role_delegated_twice_or_too_often_is_refused(tree: Tree) -> None:
    document = json.loads(tree.read("targets"))
    roles = document["signed"]["delegations"]["roles"]
    for changed, problem in (([*roles, roles[0]], "twice"), (roles * 40, "entries")):
        document["signed"]["delegations"]["roles"] = changed
        raw = canonical_json.encode(document["signed"])
        document["signatures"] = [
            signer.sign(raw).to_dict() for signer in tree.repository.keys.signers("targets")
        ]
        with pytest.raises(MetadataError, match=problem):
            check(tree, delegation=json.dumps(document).encode())


def test_more_signatures_than_keys_can_make_are_refused_unread(tree: Tree) -> None:
    with pytest.raises(MetadataError, match="has 66 entries"):
        check(tree, delegation=keep_signatures(tree.read("targets"), 3, repeat=22))

"""The publisher's tree: what it writes, and what it refuses to write."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_sync.publisher.keys import MissingKeyError
from cloud_sync.publisher.repository import Repository, RepositoryError
from tests.trust.trees import BUNDLE, NOW, Tree, check


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_layout_is_what_stores_mirror(tree: Tree) -> None:
    sha256 = hashlib.sha256(BUNDLE).hexdigest()
    roles = ("targets", "snapshot", "timestamp", "models", "rules", "features")
    rings = ("lab", "one-store", "region", "fleet")
    assert set(files(tree.repository.path)) == {
        "metadata/1.root.json",
        *(f"metadata/{role}.json" for role in (*roles, *rings)),
        f"targets/{sha256}.bundle",
        "targets/rings/fleet/rules/store.json",
    }


def test_the_pointer_s_file_says_what_its_signature_says(tree: Tree) -> None:
    path = tree.repository.path / "targets/rings/fleet/rules/store.json"
    digest = f"sha256:{hashlib.sha256(BUNDLE).hexdigest()}"
    assert json.loads(path.read_bytes()) == {"counter": 1, "digest": digest, "version": "1.0.0"}


def test_private_keys_are_readable_by_their_owner_alone(tree: Tree) -> None:
    keys = list(tree.repository.keys.path.glob("*.pem"))
    assert len(keys) == 3 + 3 + 1 + 1 + 3 + 4
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


def test_the_same_calls_with_the_same_keys_give_the_same_bytes(tree: Tree, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "tree", tmp_path / "twin")
    twin = Repository.open(tmp_path / "twin", tmp_path / "keys")
    for repository in (tree.repository, twin):
        later = NOW + timedelta(hours=1)
        repository.publish("rules", "store", "1.1.0", b"next", NOW, now=later)
        repository.promote("lab", "rules", "store", "1.1.0", now=later)
    assert files(tmp_path / "tree") == files(tmp_path / "twin")


def test_publishing_the_same_bytes_again_changes_nothing(tree: Tree) -> None:
    before = files(tree.repository.path)
    tree.repository.publish("rules", "store", "1.0.0", BUNDLE, NOW, now=NOW)
    assert files(tree.repository.path) == before


def test_a_version_never_gets_other_bytes(tree: Tree) -> None:
    before = files(tree.repository.path)
    with pytest.raises(RepositoryError, match="has other bytes"):
        tree.repository.publish("rules", "store", "1.0.0", b"other", NOW, now=NOW)
    assert files(tree.repository.path) == before


@pytest.mark.parametrize(
    ("name", "version", "problem"),
    [
        ("../up", "1.0.0", "is no name"),
        ("Upper", "1.0.0", "is no name"),
        ("store", "1.0", "is no version"),
        ("store", "1.0.0/..", "is no version"),
    ],
)
def test_a_name_that_could_leave_the_tree_is_refused(
    tree: Tree, name: str, version: str, problem: str
) -> None:
    with pytest.raises(RepositoryError, match=problem):
        tree.repository.publish("rules", name, version, b"x", NOW, now=NOW)


def test_only_published_releases_can_be_promoted(tree: Tree) -> None:
    with pytest.raises(RepositoryError, match=r"rules/store/2\.0\.0 is not published"):
        tree.repository.promote("fleet", "rules", "store", "2.0.0", now=NOW)
    with pytest.raises(RepositoryError, match="no channel or ring 'mars'"):
        tree.repository.promote("mars", "rules", "store", "1.0.0", now=NOW)


def test_a_floor_can_be_raised_later_but_not_above_its_own_release(tree: Tree) -> None:
    tree.release("1.1.0", b"next")
    with pytest.raises(RepositoryError, match=r"the floor 1\.2\.0 would withdraw 1\.1\.0"):
        tree.repository.raise_floor("rules", "store", "1.1.0", "1.2.0", now=NOW)
    tree.repository.raise_floor("rules", "store", "1.1.0", "1.1.0", now=NOW)
    assert check(tree).release.version == "1.1.0"


def test_offline_roles_need_two_of_their_keys(tree: Tree) -> None:
    for path in sorted(tree.repository.keys.path.glob("root-*.pem"))[1:]:
        path.unlink()
    with pytest.raises(MissingKeyError, match=r"root needs 2 keys and .* holds 1"):
        tree.repository.rotate_root_key(now=NOW)
    assert not (tree.repository.path / "metadata/2.root.json").exists()


def test_online_work_needs_no_offline_key(tree: Tree) -> None:
    for role in ("root", "targets"):
        for path in tree.repository.keys.path.glob(f"{role}-*.pem"):
            path.unlink()
    tree.release("1.1.0", b"next")
    assert check(tree).release.version == "1.1.0"


def test_a_tree_is_made_once_and_opened_where_it_is(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        Repository.init(tmp_path / "tree", tmp_path / "more", now=NOW)
    with pytest.raises(FileExistsError):
        Repository.init(tmp_path / "new", tmp_path / "keys", now=NOW)
    with pytest.raises(RepositoryError, match="holds no tree"):
        Repository.open(tmp_path / "nowhere", tmp_path / "keys")

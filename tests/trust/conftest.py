"""A fresh signed tree for every test, copied from one that was signed once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.trust.trees import Tree


@pytest.fixture(scope="session")
def signed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    Tree.make(folder)
    return folder


@pytest.fixture
def tree(signed_once: Path, tmp_path: Path) -> Tree:
    shutil.copytree(signed_once, tmp_path, dirs_exist_ok=True)
    return Tree.at(tmp_path)

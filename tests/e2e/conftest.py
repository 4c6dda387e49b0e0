"""The store that the end-to-end tests share: signed rules, one CA, one box."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.complete_journey.demo.pki import Authority, Identity
from examples.complete_journey.demo.publishing import Desk
from terminal_client.bundle_cache import BundleCache
from terminal_client.config import TerminalConfig
from terminal_client.core.trust import Evidence
from tests.e2e.asking import Caller, calling
from tests.e2e.box import Box

WEEK = 50
# The box is in step when these decide; its models may take longer and take no part here.
IN_STEP = {"rules": f"1.{WEEK}.0", "book": f"1.{WEEK}.0"}


@dataclass(frozen=True, kw_only=True)
class Store:
    """What is there before any box is: the CA, the register's identity and the signed tree."""

    folder: Path
    authority: Authority
    lane: Identity
    desk: Desk
    tree: Path

    def box(self, name: str, *, tree_url: str | None = None, deep: str = "") -> Box:
        """Return a box that follows the tree; nothing is started."""
        url = self.tree.as_uri() if tree_url is None else tree_url
        return Box(
            folder=self.folder / name,
            authority=self.authority,
            root=self.desk.root,
            tree_url=url,
            deep=deep,
        )


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    authority = Authority.create(folder / "pki")
    desk = Desk(folder / "tree", folder / "keys")
    desk.publish_models()
    desk.publish_week(WEEK)
    return Store(
        folder=folder,
        authority=authority,
        lane=authority.issue("lane"),
        desk=desk,
        tree=folder / "tree",
    )


@pytest.fixture
def running_box(store: Store, request: pytest.FixtureRequest) -> Iterator[Box]:
    """A box of the test's own, in step with the tree."""
    box = store.box(request.node.name[:24])
    box.start()
    try:
        box.wait_until_serving(IN_STEP)
        yield box
    finally:
        box.stop()


@pytest.fixture
def caller(running_box: Box, store: Store) -> Iterator[Caller]:
    ca = store.authority.ca.read_bytes()
    with calling(running_box.serving, running_box.control, ca, store.lane) as caller:
        yield caller


def install_rules(config: TerminalConfig, tree: Path) -> None:
    """Put the signed rules on a register's disk, as its upkeep does."""
    metadata = tree / "metadata"
    cache = BundleCache.open(config.state_dir / "bundles", config.trust)
    offered = Evidence(
        roots=(),
        delegation=(metadata / "targets.json").read_bytes(),
        release=(metadata / "rules.json").read_bytes(),
        pointer=(metadata / f"{config.trust.ring}.json").read_bytes(),
    )
    evidence, trusted = cache.check((), offered)
    digest = trusted.release.digest.removeprefix("sha256:")
    cache.install(evidence, trusted, (tree / "targets" / f"{digest}.bundle").read_bytes())

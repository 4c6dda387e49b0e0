"""Floors compare versions as semantic versioning says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from terminal_client.core import trust
from terminal_client.core.trust_metadata import Target, Targets
from terminal_client.core.versions import precedence

RISING = ("0.0.1", "0.1.0", "0.9.0", "0.10.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha",
          "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
          "1.0.0", "1.0.1", "2017.47.0")  # fmt: skip


def test_the_order_is_that_of_semver() -> None:
    assert sorted([*RISING[1::2], *RISING[::2]], key=precedence) == list(RISING)
    assert len({precedence(version) for version in RISING}) == len(RISING)


@pytest.mark.parametrize("text", ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.x", "1.0.0-", "1.0.0+b",
                                  "1.0.0 ", "1.0.0\n", "-1.0.0", "1.0.0-A", "٣.0.0"])  # fmt: skip
def test_anything_else_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        precedence(text)


def test_only_releases_of_the_channel_declare_floors() -> None:
    def target(path: str) -> Target:
        return Target(path=path, length=1, sha256="0" * 64, custom={"floor": "2.0.0"})

    paths = ("rules/rules/2.0.0.bundle", "models/m/2.0.0.bundle", "rules/readme.txt")
    channel = Targets(
        version=1,
        expires=datetime(2030, 1, 1, tzinfo=UTC),
        targets={path: target(path) for path in paths},
        delegations={},
    )
    assert list(trust._floors(channel, "rules")) == [{"rules": "2.0.0"}]

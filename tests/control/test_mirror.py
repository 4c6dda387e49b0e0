"""The mirror against a real signed tree: followed, refused, and done without."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloud_sync.activation import Activation
from cloud_sync.bundle_store import BundleStore
from cloud_sync.cloud_tree import CloudAddress, CloudTree
from cloud_sync.errors import (
    BundleError,
    CloudUnavailableError,
    HostRefusedError,
    HostUnavailableError,
)
from cloud_sync.mirror import Mirror
from terminal_client.core.trust import Release
from terminal_client.signatures import verify_signature
from tests.control.bundles import FILES, archive, broken_deflate, manifest
from tests.control.fake_serving import until
from tests.control.store import Store
from tests.terminal.rules import rules_bundle


class Host:
    """Serves what it is told; refuses versions, or is away."""

    def __init__(self) -> None:
        self.serving: dict[tuple[str, str], str] = {}
        self.staged: dict[str, Release] = {}
        self.unloaded: list[str] = []
        self.refused: set[str] = set()
        self.defects: set[str] = set()
        self.away = False

    async def stage(self, release: Release, path: Path) -> None:
        if self.away:
            raise HostUnavailableError("serving does not answer")
        if release.kind in self.defects:
            raise LookupError(release.kind)
        assert path.is_dir() == (release.kind != "rules")  # noqa: ASYNC240 - a short look
        self.staged[release.digest] = release

    async def canary(self, digest: str) -> None:
        if self.staged[digest].version in self.refused:
            raise HostRefusedError("golden 0 came out wrong")

    async def flip(self, digest: str) -> None:
        release = self.staged[digest]
        self.serving[release.kind, release.name] = release.version

    async def unload(self, digest: str) -> None:
        self.unloaded.append(self.staged.pop(digest).version)


class Site:
    """A box's mirror over a store's tree; may be opened again on the same disk."""

    def __init__(self, store: Store, url: str | None = None) -> None:
        self.store = store
        self.url = (store.folder / "tree").as_uri() if url is None else url
        self.host = Host()

    @asynccontextmanager
    async def box(self, *, online: bool = True) -> AsyncIterator[tuple[Mirror, Activation]]:
        disk = self.store.folder / "state"
        bundles = BundleStore(disk / "bundles")
        activation = Activation(self.host, bundles, disk / "active.json", lambda: datetime.now(UTC))
        address = CloudAddress(url=self.url, request_timeout=timedelta(seconds=1))
        mirror = Mirror(
            tree=CloudTree(address) if online else None,
            ring="fleet",
            pinned_root=(self.store.folder / "root.json").read_bytes(),
            verify_signature=verify_signature,
            store=bundles,
            activation=activation,
            folder=disk / "mirror",
            poll_interval=timedelta(seconds=0.05),
            clock=lambda: datetime.now(UTC),
        )
        mirror.load()
        task = asyncio.create_task(mirror.run())
        try:
            yield mirror, activation
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def rules(self) -> str:
        return self.host.serving.get(("rules", "store"), "")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Store.make(tmp_path))


async def test_a_promoted_release_decides_and_an_older_one_again_after_a_rollback(
    site: Site,
) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, activation):
        await until(lambda: site.rules() == "1.0.0")
        site.store.publish_rules("1.1.0", percent=20)
        await until(lambda: site.rules() == "1.1.0")
        assert site.store.promote_rules("1.0.0") == 3
        await until(lambda: site.rules() == "1.0.0")
        active = activation.active["rules", "store"]
        assert (active.release.version, active.counter) == ("1.0.0", 3)
        assert active.previous is not None
        assert active.previous.version == "1.1.0"
        assert mirror.cloud.reachable


async def test_three_channels_come_and_only_n_and_n_minus_1_stay_on_disk(site: Site) -> None:
    bundles = site.store.folder / "state" / "bundles"

    def settled(version: str, kept: int) -> bool:
        served = {site.rules(), site.host.serving.get(("features", "book"))}
        return served == {version} and len(list(bundles.glob("*.bundle"))) == kept

    async with site.box():
        for number in range(4):
            version = f"1.{number}.0"
            site.store.publish_rules(version, percent=number + 1)
            book = archive({"chain.keys.npy": b"%d" % number, "chain.values.npy": b"v"})
            site.store.publish("features", "book", version, book)
            await until(partial(settled, version, 2 * min(number + 1, 2)))
    assert sorted(site.host.unloaded) == ["1.0.0", "1.0.0", "1.1.0", "1.1.0"]


async def test_a_release_that_fails_here_leaves_the_one_before_deciding(site: Site) -> None:
    site.store.publish_rules("1.0.0")
    site.host.refused.add("2.0.0")
    async with site.box() as (mirror, activation):
        await until(lambda: site.rules() == "1.0.0")
        before = mirror.documents(1)
        site.store.publish_rules("2.0.0", percent=20)
        await until(lambda: ("rules", "store") in activation.problems)
        assert "golden 0" in activation.problems["rules", "store"]
        assert site.rules() == "1.0.0"
        # Registers are given what this box decides by, not what it refused.
        assert mirror.documents(1) == before
        site.store.publish_rules("2.0.1", percent=20)
        await until(lambda: site.rules() == "2.0.1")
        assert activation.problems == {}
        await until(lambda: mirror.documents(1) != before)


async def test_without_any_network_the_box_boots_from_its_disk(site: Site) -> None:
    digest = site.store.publish_rules("1.0.0")
    async with site.box():
        await until(lambda: site.rules() == "1.0.0")
    site.host = Host()
    async with site.box(online=False) as (mirror, activation):
        await activation.restore({})
        assert site.rules() == "1.0.0"
        documents = mirror.documents(1)
        assert documents is not None
        assert mirror.fallback_digests() == {digest}
        assert mirror.cloud.last_success is not None


async def test_a_cloud_that_goes_away_changes_nothing_but_age(site: Site, tmp_path: Path) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, activation):
        await until(lambda: site.rules() == "1.0.0" and mirror.cloud.reachable is True)
        (tmp_path / "tree").rename(tmp_path / "elsewhere")
        await until(lambda: mirror.cloud.reachable is False)
        assert site.rules() == "1.0.0"
        assert activation.problems == {}
        assert mirror.cloud.problem
        (tmp_path / "elsewhere").rename(tmp_path / "tree")
        site.store.publish_rules("1.1.0", percent=20)
        await until(lambda: site.rules() == "1.1.0" and mirror.cloud.reachable is True)


async def test_a_forged_document_is_refused_and_the_other_channels_go_on(
    site: Site, tmp_path: Path
) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, _):
        await until(lambda: site.rules() == "1.0.0")
        path = tmp_path / "tree" / "metadata" / "rules.json"
        path.write_bytes(path.read_bytes().replace(b'"version": "1.0.0"', b'"version": "9.9.9"'))
        await until(lambda: "signatures" in mirror.channels["rules"].problem)
        site.store.publish("features", "book", "1.0.0", archive())
        await until(lambda: site.host.serving.get(("features", "book")) == "1.0.0")
        assert site.rules() == "1.0.0"


async def test_older_documents_than_believed_are_refused_after_a_restart_too(
    site: Site, tmp_path: Path
) -> None:
    site.store.publish_rules("1.0.0")
    old = (tmp_path / "tree" / "metadata" / "fleet.json").read_bytes()
    site.store.publish_rules("1.1.0", percent=20)
    async with site.box():
        await until(lambda: site.rules() == "1.1.0")
    (tmp_path / "tree" / "metadata" / "fleet.json").write_bytes(old)
    async with site.box() as (mirror, _):
        await until(lambda: "below" in mirror.channels["rules"].problem)
        assert site.rules() == "1.1.0"


async def test_a_bundle_with_other_bytes_never_decides(site: Site, tmp_path: Path) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, _):
        await until(lambda: site.rules() == "1.0.0")
        digest = site.store.publish_rules("1.1.0", percent=20)
        path = tmp_path / "tree" / "targets" / f"{digest[7:]}.bundle"
        path.write_bytes(b"x" * path.stat().st_size)
        await until(lambda: bool(mirror.channels["rules"].problem))
        assert site.rules() == "1.0.0"


async def test_damage_on_this_disk_is_found_and_the_one_before_decides(
    site: Site, tmp_path: Path
) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box():
        await until(lambda: site.rules() == "1.0.0")
        digest = site.store.publish_rules("1.1.0", percent=20)
        await until(lambda: site.rules() == "1.1.0")
    path = tmp_path / "state" / "bundles" / f"{digest[7:]}.bundle"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    site.host = Host()
    async with site.box(online=False) as (_, activation):
        await activation.restore({})
        assert site.rules() == "1.0.0"
        assert "1.1.0" in activation.problems["rules", "store"]


async def test_forgotten_or_forged_memory_on_disk_is_not_believed(
    site: Site, tmp_path: Path
) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box():
        await until(lambda: site.rules() == "1.0.0")
    memory = tmp_path / "state" / "active.json"
    memory.write_text(memory.read_text().replace("sha256:", "sha256:f", 1))
    site.host = Host()
    async with site.box(online=False) as (_, activation):
        await activation.restore({})
        assert site.rules() in ("", "1.0.0")
        assert all(len(one.release.digest) == 71 for one in activation.active.values())
    memory.write_text("{")
    (tmp_path / "state" / "mirror" / "rules.latest.json").write_text("{")
    site.host = Host()
    async with site.box() as (_, activation):
        await until(lambda: site.rules() == "1.0.0")


async def test_a_release_waits_for_a_host_that_is_away(site: Site) -> None:
    site.host.away = True
    site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, activation):
        await until(lambda: bool(mirror.fallback_digests()))
        await asyncio.sleep(0.1)
        assert activation.active == {}
        assert activation.problems == {}
        site.host.away = False
        mirror.host_moved()
        await until(lambda: site.rules() == "1.0.0", 1)


async def test_a_new_root_is_followed(site: Site) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, _):
        await until(lambda: site.rules() == "1.0.0")
        site.store.repository.rotate_root_key(now=datetime.now(UTC))
        site.store.publish_rules("1.1.0", percent=20)
        await until(lambda: site.rules() == "1.1.0")

        def followed() -> bool:
            documents = mirror.documents(1)
            return documents is not None and len(documents.roots) == 1

        await until(followed)


@contextmanager
def web_server(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Serve ``folder``; the list's value, if any, is sent as the status of every answer."""
    broken: list[int] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if broken:
                self.send_error(broken[0])
            else:
                super().do_GET()

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *arguments: Any) -> None:
            # A mirror that is closed in the middle of an answer resets the connection.
            pass

    server = Server(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/tree", broken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_web_server_is_followed_and_its_errors_are_the_cloud_being_away(
    tmp_path: Path,
) -> None:
    store = Store.make(tmp_path)
    store.publish_rules("1.0.0")
    with web_server(tmp_path) as (url, broken):
        site = Site(store, url)
        async with site.box() as (mirror, _):
            await until(lambda: site.rules() == "1.0.0")
            broken.append(503)
            await until(lambda: mirror.cloud.reachable is False)
            broken.clear()
            await until(lambda: mirror.cloud.reachable is True)


async def test_a_silent_server_is_given_up_in_time() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = CloudAddress(url=f"http://127.0.0.1:{port}", request_timeout=timedelta(seconds=0.3))
    begun_s = asyncio.get_running_loop().time()
    with pytest.raises(CloudUnavailableError):
        await CloudTree(address).metadata("targets")
    assert asyncio.get_running_loop().time() - begun_s < 1
    server.close()


async def test_a_dead_address_fails_at_once_without_further_tries() -> None:
    address = CloudAddress(url="http://127.0.0.1:1")
    begun_s = asyncio.get_running_loop().time()
    with pytest.raises(CloudUnavailableError):
        await CloudTree(address).metadata("targets")
    assert asyncio.get_running_loop().time() - begun_s < 1


async def test_metadata_larger_than_any_may_be_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "targets.json").write_bytes(b"x" * 1000)
    monkeypatch.setattr("cloud_sync.cloud_tree.MAX_METADATA_BYTES", 999)
    with pytest.raises(BundleError, match="1000 bytes"):
        await CloudTree(CloudAddress(url=tmp_path.as_uri())).metadata("targets")


def halve(store: Store, version: str) -> tuple[Path, bytes]:
    """Publish and promote rules of which only half the bytes are in the tree; return the rest."""
    raw = rules_bundle(version, 20)
    now = datetime.now(UTC)
    digest = store.repository.publish("rules", "store", version, raw, now, now=now)
    path = store.folder / "tree" / "targets" / f"{digest[7:]}.bundle"
    path.write_bytes(raw[: len(raw) // 2])
    store.repository.promote("fleet", "rules", "store", version, now=now)
    return path, raw


async def test_a_download_that_breaks_off_is_told_of_and_tried_again(site: Site) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, activation):
        await until(lambda: site.rules() == "1.0.0")
        path, raw = halve(site.store, "1.1.0")
        channel = mirror.channels["rules"]
        await until(lambda: "not the signed ones" in channel.problem)
        # The documents are seen again and again meanwhile; what is wrong stays on show.
        seen_at = channel.seen_at
        await until(lambda: channel.seen_at != seen_at)
        assert "not the signed ones" in channel.problem
        assert activation.problems == {}
        path.write_bytes(raw)
        await until(lambda: site.rules() == "1.1.0")
        await until(lambda: channel.problem == "")


async def test_one_release_that_does_not_arrive_keeps_no_other_of_its_channel_waiting(
    site: Site,
) -> None:
    digest = site.store.publish(
        "features", "atlas", "1.0.0", archive(FILES, manifest(name="atlas"))
    )
    (site.store.folder / "tree" / "targets" / f"{digest[7:]}.bundle").unlink()
    site.store.publish("features", "book", "1.0.0", archive())
    async with site.box() as (mirror, _):
        await until(lambda: site.host.serving.get(("features", "book")) == "1.0.0")
        await until(lambda: "atlas" in mirror.channels["features"].problem)


async def test_a_canary_that_fails_once_at_a_restart_of_serving_is_run_again(site: Site) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, activation):
        await until(lambda: site.rules() == "1.0.0" and mirror.channels["rules"].in_use is not None)
        site.host.serving.clear()
        site.host.refused.add("1.0.0")
        assert not await activation.restore({})
        mirror.host_moved()
        await asyncio.sleep(0.2)
        assert "golden 0" in activation.problems["rules", "store"]
        site.host.refused.clear()
        assert await activation.restore({})
        assert site.rules() == "1.0.0"
        assert activation.problems == {}


async def test_a_box_that_falls_back_says_what_it_decides_by(site: Site) -> None:
    first = site.store.publish_rules("1.0.0")
    async with site.box() as (mirror, activation):
        await until(lambda: site.rules() == "1.0.0" and mirror.channels["rules"].in_use is not None)
        old = mirror.documents(1)
        second = site.store.publish_rules("1.1.0", percent=20)
        await until(lambda: mirror.channels["rules"].before is not None)
        new = mirror.documents(1)
        assert (activation.rules_digest, new) != (first, old)
    site.host = Host()
    site.host.refused.add("1.1.0")
    async with site.box(online=False) as (mirror, activation):
        assert not await activation.restore({})
        assert site.rules() == "1.0.0"
        assert activation.rules_digest == first
        assert mirror.documents(1) == old
        assert mirror.fallback_digests() == {first, second}
        assert "1.0.0" in activation.problems["rules", "store"]
        site.host.refused.clear()
        assert await activation.restore({("rules", "store"): first})
        assert (activation.rules_digest, mirror.documents(1)) == (second, new)


async def test_a_release_after_a_fall_back_keeps_what_decided_before_it(site: Site) -> None:
    site.store.publish_rules("1.0.0")
    async with site.box() as (_, activation):
        await until(lambda: site.rules() == "1.0.0")
        site.store.publish_rules("1.1.0", percent=20)
        await until(lambda: site.rules() == "1.1.0")
        site.host.refused.add("1.1.0")
        await activation.restore({})
        site.store.publish_rules("1.2.0", percent=30)
        await until(lambda: site.rules() == "1.2.0")
        previous = activation.active["rules", "store"].previous
        assert previous is not None
        assert previous.version == "1.0.0"
        await until(lambda: site.host.unloaded == ["1.1.0"])
        assert activation.problems == {}


async def test_a_signed_archive_that_cannot_be_unpacked_is_refused_alone(site: Site) -> None:
    raw = broken_deflate()
    site.store.publish("features", "book", "1.0.0", raw)
    async with site.box() as (mirror, activation):
        await until(lambda: ("features", "book") in activation.problems)
        await until(lambda: "book 1.0.0" in mirror.channels["features"].problem)
        site.store.publish_rules("1.0.0")
        await until(lambda: site.rules() == "1.0.0")


async def test_what_nobody_foresaw_stays_one_channels_trouble(site: Site) -> None:
    site.host.defects.add("features")
    site.store.publish("features", "book", "1.0.0", archive())
    async with site.box() as (mirror, _):
        await until(lambda: "unforeseen" in mirror.channels["features"].problem)
        site.store.publish_rules("1.0.0")
        await until(lambda: site.rules() == "1.0.0")

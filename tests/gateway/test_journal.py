"""The ring in memory: nothing appended is lost, nothing torn is read, nobody waits."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal import JournalError, JournalReader, JournalWriter
from posgate.box.v1 import serving_pb2 as pb

SMALL = 1 << 16


def record(number: int, size: int = 20) -> pb.JournalRecord:
    return pb.JournalRecord(request=str(number).encode(), response=b"x" * size)


def drain(reader: JournalReader, *, commit: bool = True) -> list[pb.JournalRecord]:
    drained = reader.read(10_000)
    assert drained.corrupt_bytes == 0
    if commit:
        reader.commit(drained.position)
    return list(drained.records)


def test_records_come_out_in_order_with_a_sequence_without_holes(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with JournalWriter.open(path, SMALL, "e1") as writer, JournalReader.open(path) as reader:
        for number in range(50):
            assert writer.append(record(number))
        found = drain(reader)
        assert [r.sequence for r in found] == list(range(1, 51))
        assert [int(r.request) for r in found] == list(range(50))
        assert {r.epoch for r in found} == {"e1"}
        assert drain(reader) == []


def test_uncommitted_records_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with JournalWriter.open(path, SMALL, "e1") as writer:
        writer.append(record(1))
        with JournalReader.open(path) as reader:
            assert len(drain(reader, commit=False)) == 1
        with JournalReader.open(path) as reader:
            assert len(drain(reader)) == 1
        with JournalReader.open(path) as reader:
            assert drain(reader) == []


def test_a_full_ring_counts_and_the_next_record_tells(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with JournalWriter.open(path, SMALL, "e1") as writer, JournalReader.open(path) as reader:
        kept = 0
        while writer.append(record(kept, 1000)):
            kept += 1
        assert not writer.append(record(-1, 1000))
        assert writer.lost_count == reader.unreported_loss == 2
        assert len(drain(reader)) == kept
        assert writer.append(record(99))
        (last,) = drain(reader)
        assert (last.lost_before, last.sequence) == (2, kept + 1)
        assert reader.unreported_loss == 0


def test_a_record_larger_than_the_ring_is_lost_not_an_error(tmp_path: Path) -> None:
    with JournalWriter.open(tmp_path / "journal", SMALL, "e1") as writer:
        assert not writer.append(record(1, 2 * SMALL))
        assert writer.append(record(2))


def test_loss_is_told_after_a_restart_of_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with JournalWriter.open(path, SMALL, "e1") as writer:
        writer.append(record(1, 2 * SMALL))
    with JournalWriter.open(path, SMALL, "e2") as writer, JournalReader.open(path) as reader:
        writer.append(record(2))
        (only,) = drain(reader)
        assert (only.epoch, only.sequence, only.lost_before) == ("e2", 1, 1)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with (
        JournalWriter.open(path, SMALL, "e1"),
        pytest.raises(JournalError, match="another writer"),
        JournalWriter.open(path, SMALL, "e2"),
    ):
        pass


def test_another_size_waits_until_the_old_ring_is_drained(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with JournalWriter.open(path, SMALL, "e1") as writer:
        writer.append(record(1))
    with JournalWriter.open(path, 4 * SMALL, "e2"), JournalReader.open(path) as reader:
        assert path.stat().st_size < 2 * SMALL
        assert len(drain(reader)) == 1
    with JournalReader.open(path) as old:
        with JournalWriter.open(path, 4 * SMALL, "e3"):
            assert old.replaced
            assert path.stat().st_size > 4 * SMALL
        assert drain(old) == []


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * (SMALL + 4096)])
def test_a_file_that_is_no_journal_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with JournalWriter.open(path, SMALL, "e1") as writer, JournalReader.open(path) as reader:
        writer.append(record(7))
        assert [int(r.request) for r in drain(reader)] == [7]


def test_a_reader_refuses_what_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with pytest.raises(FileNotFoundError), JournalReader.open(path):
        pass
    for content in (b"short", b"\x00" * (SMALL + 4096)):
        path.write_bytes(content)
        with pytest.raises(JournalError), JournalReader.open(path):
            pass


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.one_of(st.integers(0, 9_000), st.sampled_from(["read", "commit", "restart"])),
        max_size=80,
    )
)
def test_whatever_happens_in_between_every_kept_record_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | str]
) -> None:
    path = tmp_path_factory.mktemp("ring") / "journal"
    kept: list[int] = []
    seen: list[int] = []
    lost = told = 0
    writer_context = JournalWriter.open(path, SMALL, "e")
    writer = writer_context.__enter__()
    with JournalReader.open(path) as reader:
        for number, step in enumerate(steps):
            if step == "restart":
                writer_context.__exit__(None, None, None)
                writer_context = JournalWriter.open(path, SMALL, "e")
                writer = writer_context.__enter__()
            elif isinstance(step, int):
                if writer.append(record(number, step)):
                    kept.append(number)
                else:
                    lost += 1
            else:
                drained = reader.read(7)
                assert drained.corrupt_bytes == 0
                if step == "commit":
                    reader.commit(drained.position)
                    seen += [int(r.request) for r in drained.records]
                    told += sum(r.lost_before for r in drained.records)
        while rest := reader.read(7).records:
            seen += [int(r.request) for r in rest]
            told += sum(r.lost_before for r in rest)
            reader.commit(reader.read(7).position)
        assert seen == kept
        assert told + reader.unreported_loss == lost
    writer_context.__exit__(None, None, None)


@settings(max_examples=150)
@given(data=st.data())
def test_torn_or_flipped_bytes_are_never_read_as_a_record(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal"
    with JournalWriter.open(path, SMALL, "e") as writer:
        originals = [record(n, data.draw(st.integers(0, 300))) for n in range(5)]
        for original in originals:
            writer.append(original)
        whole = {original.SerializeToString() for original in originals}
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, 4096 + 2_000))
    length = data.draw(st.integers(1, 64))
    raw[at : at + length] = data.draw(st.binary(min_size=length, max_size=length))
    path.write_bytes(raw)
    try:
        with JournalReader.open(path) as reader:
            drained = reader.read()
            assert {r.SerializeToString() for r in drained.records} <= whole
            reader.commit(drained.position)
            assert reader.read().records == ()
    except JournalError:
        assert at < 16
    with JournalWriter.open(path, SMALL, "f") as writer, JournalReader.open(path) as reader:
        before = len(reader.read(1_000).records)
        if writer.append(record(77)):
            found = reader.read(1_000)
            assert found.corrupt_bytes or len(found.records) == before + 1


def test_kill_9_of_the_writer_keeps_every_record_it_had_answered_for(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from gateway.journal import JournalWriter
        from posgate.box.v1 import serving_pb2 as pb
        with JournalWriter.open(Path(sys.argv[1]), 1 << 22, "e") as writer:
            for number in range(1_000_000):
                writer.append(pb.JournalRecord(request=b"%d" % number, response=b"x" * 500))
                sys.stdout.write(f"{number}\\n")
                sys.stdout.flush()
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 500:
                process.send_signal(signal.SIGKILL)
                break
        answered = [int(line) for line in process.stdout]
    last = answered[-1] if answered else 500
    with JournalReader.open(path) as reader:
        found = [int(r.request) for r in drain(reader)]
    assert found == list(range(len(found)))
    assert len(found) >= last + 1

"""Holes in an upload are on record, however many gaps it declares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.local_decisions import MAX_GAPS, read_upload
from posgate.v1 import terminal_pb2 as pb
from terminal_client.codec import RequestError

SEQUENCE = st.integers(1, 60)


def upload(numbers: list[int], gaps: list[tuple[int, int]]) -> pb.UploadLocalDecisionsRequest:
    return pb.UploadLocalDecisionsRequest(
        workstation_id="4",
        spool_epoch="e",
        decisions=[pb.LocalDecision(local_sequence=number) for number in numbers],
        gaps=[
            pb.SpoolGap(first_local_sequence=first, last_local_sequence=last, reason="FULL")
            for first, last in gaps
        ],
    )


@given(
    numbers=st.lists(SEQUENCE, unique=True, max_size=12).map(sorted),
    gaps=st.lists(st.tuples(SEQUENCE, st.integers(0, 9)), max_size=12),
)
def test_every_hole_is_recorded_once_and_declared_ones_are_not_repeated(
    numbers: list[int], gaps: list[tuple[int, int]]
) -> None:
    ranges = [(first, first + more) for first, more in gaps]
    found = [gap for gap in read_upload(upload(numbers, ranges)).gaps if gap.reason == "UNDECLARED"]
    lost = [n for gap in found for n in range(gap.first_sequence, gap.last_sequence + 1)]
    between = set(range(numbers[0], numbers[-1])) if numbers else set()
    declared = {n for first, last in ranges for n in range(first, last + 1)}
    assert lost == sorted(between - declared - set(numbers))
    assert sum(gap.lost_count for gap in found) == len(lost)


def test_more_gaps_than_any_register_sends_are_refused() -> None:
    gaps = [(2 * n, 2 * n) for n in range(1, MAX_GAPS + 2)]
    assert len(read_upload(upload([1], gaps[:-1])).gaps) == MAX_GAPS
    with pytest.raises(RequestError) as caught:
        read_upload(upload([1], gaps))
    assert caught.value.field == "gaps"

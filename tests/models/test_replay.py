"""The demo store's baskets, assembled from the committed books and scored."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from examples.complete_journey.artifacts import CLOUD, DEMO_STORE, STORE, read_json
from examples.complete_journey.assembly import StoreLog
from examples.complete_journey.contract import DEEP_COLUMNS, EDGE_COLUMNS
from examples.complete_journey.fleet import Fleet
from examples.complete_journey.household_history import HISTORY_LENGTH, Purchases
from examples.complete_journey.replay import read_replay
from tests.models.playing import Played, play


@pytest.fixture(scope="module")
def replayed() -> Played:
    return play()


def score(folder: str, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    path = {"edge": STORE / "promo_price_edge.onnx", "deep": CLOUD / "promo_price_deep.onnx"}
    session = ort.InferenceSession(path[folder], providers=["CPUExecutionProvider"])
    scores: npt.NDArray[np.float32] = session.run(None, {"x": rows})[0]
    return scores


def test_the_replays_hold_the_store_s_baskets_in_playing_order() -> None:
    calendar, folded = list(read_replay("calendar")), list(read_replay("folded"))
    assert (len(calendar), sum(len(b.lines) for b in calendar)) == (514, 5482)
    assert (len(folded), sum(len(b.lines) for b in folded)) == (4194, 41334)
    assert {b.store for b in folded} == {DEMO_STORE}
    times = [b.local_time for b in calendar]
    assert times == sorted(times)
    clocks = [b.local_time.time() for b in folded]
    assert clocks == sorted(clocks)


def test_the_folded_year_peaks_where_the_store_does() -> None:
    hours = [b.local_time.hour for b in read_replay("folded")]
    assert max(set(hours), key=hours.count) == 17
    assert hours.count(17) == 521


def test_the_price_check_beats_its_fallback_on_the_replay(replayed: Played) -> None:
    def accuracy(said: npt.NDArray[np.bool_]) -> float:
        return float((said == replayed.discounted).mean())

    assert len(replayed.rows) == 5334
    rule = accuracy(replayed.by_rule)
    edge = accuracy(score("edge", replayed.rows) > 0.5)
    deep = accuracy(score("deep", np.hstack([replayed.rows, replayed.fleet])) > 0.5)
    assert rule < edge < deep
    assert rule > 0.78
    assert edge > 0.88
    assert deep > 0.92


def test_rows_keep_to_the_contract_s_ranges(replayed: Played) -> None:
    columns = read_json(STORE / "promo_price_edge.features.json")["columns"]
    assert [column["name"] for column in columns] == list(EDGE_COLUMNS)
    for column, values in zip(columns, replayed.rows.T, strict=True):
        known = values[~np.isnan(values)]
        assert known.size
        assert known.min() >= column["min"]
        assert column["max"] is None or known.max() <= column["max"]


@pytest.mark.parametrize("odd", [np.nan, -1.0, 1e9], ids=["unknown", "negative", "huge"])
def test_the_oddest_row_still_gets_a_probability(odd: float) -> None:
    for tier, width in (("edge", len(EDGE_COLUMNS)), ("deep", len(DEEP_COLUMNS))):
        scores = score(tier, np.full((2, width), odd, np.float32))
        assert np.all((scores >= 0) & (scores <= 1))


def test_the_fleet_never_sees_the_day_it_is_asked_on() -> None:
    fleet = Fleet.committed()
    monday = date(2017, 11, 20)
    assert fleet.features("1082185", monday, 99)[0] == 0
    counts = [fleet.features("1082185", date(2017, 11, day), 99)[0] for day in range(20, 27)]
    assert counts == sorted(counts)
    assert counts[-1] > 0
    assert np.isnan(fleet.features("no number", monday, 99)[2:4]).all()


def test_a_household_s_history_fades_and_ends_before_today() -> None:
    purchases = Purchases.committed()
    household, first = int(purchases.household[0]), int(purchases.day[0])
    assert len(purchases.weights(household, first)[0]) == 0
    items, weights = purchases.weights(household, first + 1)
    later, faded = purchases.weights(household, first + 1 + 84)
    assert len(items) > 0
    kept = dict(zip(later.tolist(), faded.tolist(), strict=True))
    assert all(kept[i] >= w / 2 - 1e-6 for i, w in zip(items.tolist(), weights, strict=True))
    item, weight = purchases.inputs(household, date(2017, 12, 24))
    assert item.shape == weight.shape == (1, HISTORY_LENGTH)
    assert len(purchases.weights(-1, 300)[0]) == 0


def test_a_store_log_counts_a_day_from_the_next_one_and_a_week_from_monday() -> None:
    log = StoreLog()
    log.open_day(date(2017, 11, 18))
    log.add("ls", "1", True)
    assert log.lookup("ls", "1") == (0, 0)
    log.open_day(date(2017, 11, 19))
    assert log.lookup("ls", "1") == (1, 1)
    log.open_day(date(2017, 11, 20))
    assert log.lookup("ls", "1") == (0, 0)
    with pytest.raises(ValueError, match="already open"):
        log.open_day(date(2017, 11, 19))

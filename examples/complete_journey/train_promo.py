"""Train, export and describe promo_price: models, bands, price books and the fleet's log."""

from __future__ import annotations

import numpy as np
import onnx

from examples.complete_journey.artifacts import (
    BOOK_WEEKS,
    CLOUD,
    DEMO_STORE,
    STORE,
    save_chain,
    save_table,
    write_json,
)
from examples.complete_journey.bands import Band, pick, policy
from examples.complete_journey.book import chain_table, plan_table, store_table
from examples.complete_journey.cards import Card
from examples.complete_journey.contract import (
    DEEP_COLUMNS,
    EDGE_COLUMNS,
    deep_contract,
    edge_contract,
)
from examples.complete_journey.fleet import FLEET_WEEKS, FleetLog
from examples.complete_journey.golden import write_golden
from examples.complete_journey.promo_features import Histories, PromoFeatures
from examples.complete_journey.promo_figures import (
    DEEP_MODEL,
    EDGE_MODEL,
    book_ages,
    edge_under,
    price_check,
    split,
)
from examples.complete_journey.promo_graph import edge_graph
from examples.complete_journey.promo_plan import DISPLAY_CODES, MAIL_CODES
from examples.complete_journey.promo_price import (
    BOOK_CONDITIONS,
    EDGE_CONFIG,
    STALE_SHARE,
    VERSION,
    train_deep,
    train_edge,
)
from examples.complete_journey.tree_graph import tree_graph

GOLDEN_ROWS = 48
_CODES = {"mail": MAIL_CODES, "disp": DISPLAY_CODES}
_LIMITS = (
    "The label is 'a loyalty discount was printed', not 'the shelf carried a promotion'.",
    (
        "A small panel: 2,469 households. A chain's own log and fleet would know far more, so the "
        "gains of the local log and of the deep model are probably understated."
    ),
    "The test period is one holiday season; single weeks differ by several points.",
    "The promotion plan is assumed known before its week starts.",
)


def train_promo(features: PromoFeatures) -> None:
    """Rebuild everything of promo_price under ``artifacts/`` (about 4 min on 2 cores)."""
    export_books(features.histories)
    export_models(features)
    bands = pick_bands(features)
    write_json(STORE / "bands.json", policy(bands))
    write_cards(features, bands)


def export_books(histories: Histories) -> None:
    """Write the demo store's weekly price books and the cloud's fleet log."""
    panel = histories.panel
    product = panel.master["product"].to_numpy().astype(np.bytes_)
    type_id = panel.master["type_id"].to_numpy()[np.argsort(product)]
    for week in BOOK_WEEKS:
        save_chain(week, chain_table(histories, week), type_id)
        save_table(week, store_table(histories, DEMO_STORE, week))
        save_table(week, plan_table(DEMO_STORE, week))
    recent = panel.rows(*FLEET_WEEKS)
    columns = (histories.column(n)[recent] for n in ("product", "day", "shelf_c", "label"))
    FleetLog(*columns).save(CLOUD / "fleet.npz")


def export_models(features: PromoFeatures) -> None:
    """Train both models and write them with their contracts and golden rows."""
    write_json(STORE / "promo_price_edge.features.json", edge_contract(_CODES))
    write_json(CLOUD / "promo_price_deep.features.json", deep_contract(_CODES))
    onnx.save(edge_graph(train_edge(features), VERSION), str(EDGE_MODEL))
    deep = tree_graph(
        train_deep(features),
        len(DEEP_COLUMNS),
        output="p",
        properties={"contract": "promo_price_deep/1", "version": VERSION},
    )
    onnx.save(deep, str(DEEP_MODEL))
    rows = _golden_rows(features)
    write_golden(EDGE_MODEL, features.matrix(rows))
    write_golden(DEEP_MODEL, features.matrix(rows, deep=True))


def pick_bands(features: PromoFeatures) -> list[Band]:
    """Return each book condition's threshold, picked on the validation weeks."""
    label = split(features, "validation").label
    scores = edge_under(features, "validation")
    return [Band(age, kept, pick(scores[age, kept], label)) for age, kept in BOOK_CONDITIONS]


def write_cards(features: PromoFeatures, bands: list[Band]) -> None:
    """Measure the committed models on both splits and write their cards."""
    accept = bands[0].accept_confidence
    if accept is None:
        raise RuntimeError("no threshold reaches the target on a fresh book")
    figures = {name: price_check(features, name, accept) for name in ("validation", "test")}
    for name in figures:
        label = split(features, name).label
        figures[name]["by_book_age"] = book_ages(edge_under(features, name), label, bands)
    Card(
        name="promo_price_edge",
        version=VERSION,
        answers="Does the loyalty promotion price apply to this scanned line?",
        tier="edge: MLP 57-64-32-1 behind an encoding inside the graph",
        trained_by=f"Adam, {EDGE_CONFIG.epochs} epochs, seed {EDGE_CONFIG.seed}, plus "
        f"{STALE_SHARE:.0%} of the rows again under each of seven stale-book conditions",
        inputs=f"{len(EDGE_COLUMNS)} raw columns of contract promo_price/1, NaN = unknown",
        files=("store/promo_price_edge.onnx", "store/promo_price_edge.features.json"),
        figures=figures,
        limits=_LIMITS,
        chosen_on_validation={"accept_confidence": accept, "stale share": STALE_SHARE},
    ).write()
    deep_names = ("lines", "rule_b_accuracy", "edge_accuracy", "deep_accuracy", "tiered_accuracy")
    Card(
        name="promo_price_deep",
        version=VERSION,
        answers="The same question, for lines the edge model is unsure of.",
        tier="deep: LightGBM, 400 trees of 127 leaves, in the cloud",
        trained_by="LightGBM, seed 0, deterministic",
        inputs=f"the edge row and six fleet columns ({len(DEEP_COLUMNS)} together)",
        files=("cloud/promo_price_deep.onnx", "cloud/fleet.npz"),
        figures={n: {k: figures[n][k] for k in deep_names} for n in figures},
        limits=_LIMITS,
    ).write()


def _golden_rows(features: PromoFeatures) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return a mask of evenly spaced validation lines."""
    rows = np.flatnonzero(split(features, "validation").rows)
    chosen = np.zeros(len(features.label), np.bool_)
    chosen[rows[:: len(rows) // GOLDEN_ROWS][:GOLDEN_ROWS]] = True
    return chosen

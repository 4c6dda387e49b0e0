"""What the edge network sees of a raw promo_price row.

The same few steps exist twice: here in numpy for training, and in ``promo_graph.py`` as
ONNX nodes. A test compares the two on real rows. Nothing outside the graph may encode.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from examples.complete_journey.contract import EDGE_COLUMNS

Matrix = npt.NDArray[np.float32]

COUNTS = ("c1_n", "c4_n", "ca_n", "s8_n", "m1_n", "ls_n", "lm_n")
RATES = ("c1_r", "c4_r", "ca_r", "s8_r", "t1_r", "m1_r", "ls_r", "lm_r")
RATIOS = ("prat", "prat_s")
ONE_HOT = {"mail": range(12), "disp": range(11), "dow": range(1, 8)}
RATE_FILL = 0.5
"""An unknown rate is "either way"."""
RATIO_FILL = 1.0
"""An unknown reference price is "as usual"."""
RATIO_CEILING = 3.0


def positions(names: tuple[str, ...]) -> list[int]:
    """Return the columns' places in the edge contract."""
    return [EDGE_COLUMNS.index(name) for name in names]


def encode(x: Matrix) -> Matrix:
    """Return the network's input [n, 57] of raw edge rows [n, 22]; never NaN.

    Order: log counts, filled rates, one flag per missing rate, capped ratios, log shelf
    price, private label, then the one-hots (all zero where the code is unknown).
    """
    count = np.log1p(_positive(x[:, positions(COUNTS)]))
    rate = x[:, positions(RATES)]
    missing = np.isnan(rate).astype(np.float32)
    ratio = np.nan_to_num(x[:, positions(RATIOS)], nan=RATIO_FILL)
    parts = [
        count,
        np.nan_to_num(rate, nan=RATE_FILL),
        missing,
        np.minimum(ratio, RATIO_CEILING),
        np.log1p(_positive(x[:, positions(("shelf",))])),
        np.nan_to_num(x[:, positions(("priv",))], nan=0.0),
    ]
    for name, codes in ONE_HOT.items():
        parts.append(x[:, positions((name,))] == np.asarray(codes, np.float32))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _positive(x: Matrix) -> Matrix:
    """Replace NaN and what is below zero by zero: no row, however odd, may give NaN."""
    known: Matrix = np.maximum(np.nan_to_num(x, nan=0.0), 0.0)
    return known

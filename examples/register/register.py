"""A register in thirty lines: ask about a basket, act on the answer, say how the sale ended."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from terminal_client.client import TerminalClient
from terminal_client.config_file import load_config
from terminal_client.core.basket import Basket, LineItem, TransactionRef
from terminal_client.outcomes import SaleEnd, SaleOutcome


def main() -> None:
    """Sell two bottles of milk at the register that the file on the command line describes."""
    sale = TransactionRef(store_id="367", workstation_id="lane-1", sequence_number=1)
    milk = LineItem(line_number=1, item_id="981760", quantity_milli=2000, extended_minor=398)
    basket = Basket(transaction=sale, currency_code="USD", lines=(milk,), basket_revision=1,
                    evaluation_time=datetime.now(UTC))  # fmt: skip
    with TerminalClient.open(load_config(Path(sys.argv[1]))) as client:
        wanted = ["promotion_validation", "age_check"]
        decision = client.evaluate(basket, wanted, budget=timedelta(milliseconds=150))
        print(decision.verdict.name, [notice.code for notice in decision.notices])
        keys: list[str] = []
        for offer in decision.results[0].offers:
            print(f"{offer.offer_id}: {offer.discount_minor} off, {offer.status.name}")
            keys += [offer.redemption_key] if offer.redemption_key else []
        paid = SaleOutcome(end=SaleEnd.COMPLETED, final_basket_revision=1,
                           redemption_keys=tuple(keys))  # fmt: skip
        client.report_outcome(sale, paid, decision_id=decision.decision_id)


if __name__ == "__main__":
    main()

"""Bringing what was blanked in a message back into the basket it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from posgate.v1 import basket_pb2 as pb
from terminal_client.core.basket import Basket, NamedValue


def redacted(basket: Basket, message: pb.Basket) -> Basket:
    """Return ``basket`` without the texts that are blank in ``message``.

    ``message`` was made from ``basket`` and redacted; it may break the contract otherwise.
    Equal to ``basket`` when nothing was blanked.
    """
    ref, sent = basket.transaction, message.transaction
    return replace(
        basket,
        transaction=replace(
            ref,
            store_id=sent.store_id,
            workstation_id=sent.workstation_id,
            business_day_date=sent.business_day_date,
            basket_id=sent.basket_id,
            operator_id=sent.operator_id,
            lane_label=sent.lane_label,
        ),
        loyalty_token=message.loyalty_token,
        tenders=tuple(
            replace(tender, instrument_token=blanked.instrument_token)
            for tender, blanked in zip(basket.tenders, message.tenders, strict=True)
        ),
        lines=tuple(
            replace(
                line,
                department_id=blanked.department_id,
                attributes=_values(line.attributes, blanked.attributes),
            )
            for line, blanked in zip(basket.lines, message.lines, strict=True)
        ),
        attributes=_values(basket.attributes, message.attributes),
    )


def _values(
    values: Iterable[NamedValue], messages: Iterable[pb.NamedValue]
) -> tuple[NamedValue, ...]:
    return tuple(
        replace(
            value,
            name=message.name,
            **{value.kind: getattr(message, value.kind)},
        )
        for value, message in zip(values, messages, strict=True)
    )

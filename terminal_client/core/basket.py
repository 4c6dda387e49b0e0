"""The basket as the core knows it: the proto's fields, as immutable values.

Owns the basket types and their enums. Refuses to validate (``codec`` does, where bytes
come in) and to compute: rules, promotions and workflows do that. Every number is an
integer; money is in minor units, quantities in thousandths. Enum values equal the
proto's numbers, and an unknown number reads as ``UNSPECIFIED``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class OpenEnum(IntEnum):
    """An enum that reads a number it does not know as its zero value.

    Gateways and registers update on different nights: a new value must not crash the
    older side.
    """

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        return cls(0) if isinstance(value, int) and value != 0 else None


class LaneKind(OpenEnum):
    """Who operates the register."""

    UNSPECIFIED = 0
    ASSISTED = 1
    SELF_CHECKOUT = 2
    KIOSK = 3
    MOBILE = 4


class TransactionType(OpenEnum):
    """What the transaction is."""

    UNSPECIFIED = 0
    SALE = 1
    RETURN = 2
    EXCHANGE = 3
    NO_SALE = 4
    VOID = 5
    TRAINING = 6


class EntryMethod(OpenEnum):
    """How a line or coupon came into the basket."""

    UNSPECIFIED = 0
    SCANNED = 1
    KEYED = 2
    SCALE = 3
    RFID = 4
    VISION = 5
    AUTOMATIC = 6


class ItemIdType(OpenEnum):
    """What kind of identifier ``item_id`` is."""

    UNSPECIFIED = 0
    GTIN = 1
    PLU = 2
    SKU = 3
    RCN = 4


class DiscountKind(OpenEnum):
    """What took money off a line, as the POS booked it."""

    UNSPECIFIED = 0
    LOYALTY = 1
    COUPON = 2
    COUPON_MATCH = 3
    MANUAL = 4
    PROMOTION = 5


class CouponSymbology(OpenEnum):
    """How a coupon is written."""

    UNSPECIFIED = 0
    GS1_8110 = 1
    GS1_8112 = 2
    GS1_255_GCN = 3
    STORE = 4
    OTHER = 5


class TenderType(OpenEnum):
    """How a part of the sale is paid."""

    UNSPECIFIED = 0
    CASH = 1
    CREDIT = 2
    DEBIT = 3
    GIFT_CARD = 4
    VOUCHER = 5
    LOYALTY = 6
    BENEFIT = 7
    CHECK = 8
    MOBILE_WALLET = 9
    OTHER = 10


class AgeCheckMethod(OpenEnum):
    """How a person's age was checked."""

    UNSPECIFIED = 0
    VISUAL = 1
    DOCUMENT = 2
    DOCUMENT_SCAN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedValue:
    """A named value beside the fixed fields: at most one of the four is set.

    Rules see the unset ones as 0, False and "". ``double_value`` is for models only.
    """

    name: str
    int_value: int = 0
    bool_value: bool = False
    string_value: str = ""
    double_value: float = 0.0
    kind: str = "int_value"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRef:
    """The POSLog natural key of a sale, and the lane it happens at."""

    store_id: str = ""
    workstation_id: str = ""
    business_day_date: str = ""
    sequence_number: int = 0
    basket_id: str = ""
    operator_id: str = ""
    lane_label: str = ""
    lane_kind: LaneKind = LaneKind.UNSPECIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedDiscount:
    """Money the POS has taken off a line; positive takes money off."""

    kind: DiscountKind = DiscountKind.UNSPECIFIED
    amount_minor: int = 0
    offer_id: str = ""
    coupon_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineItem:
    """One line; units as in ``posgate.v1.LineItem``."""

    line_number: int
    item_id: str = ""
    item_id_type: ItemIdType = ItemIdType.UNSPECIFIED
    department_id: str = ""
    quantity_milli: int = 1000
    unit_code: str = ""
    regular_unit_price_minor: int = 0
    actual_unit_price_minor: int = 0
    extended_minor: int = 0
    entry_method: EntryMethod = EntryMethod.UNSPECIFIED
    voided: bool = False
    voids_line_number: int = 0
    price_overridden: bool = False
    minimum_age_years: int = 0
    entered_time: datetime | None = None
    unit_price_scale: int = 0
    price_quantity_milli: int = 0
    linked_line_number: int = 0
    discounts: tuple[AppliedDiscount, ...] = ()
    attributes: tuple[NamedValue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCoupon:
    """A coupon that was handed over."""

    coupon_ref: str
    symbology: CouponSymbology = CouponSymbology.UNSPECIFIED
    data: str = ""
    entry_method: EntryMethod = EntryMethod.UNSPECIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """One tender; never a card number."""

    line_number: int
    tender_type: TenderType = TenderType.UNSPECIFIED
    amount_minor: int = 0
    instrument_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeVerification:
    """What is known of the buyer's age; never a birth date."""

    minimum_age_verified_years: int = 0
    method: AgeCheckMethod = AgeCheckMethod.UNSPECIFIED
    verified_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """A basket, whole, at one revision."""

    transaction: TransactionRef = TransactionRef()
    transaction_type: TransactionType = TransactionType.UNSPECIFIED
    currency_code: str = ""
    currency_exponent: int | None = None
    lines: tuple[LineItem, ...] = ()
    coupons: tuple[PresentedCoupon, ...] = ()
    tenders: tuple[Tender, ...] = ()
    loyalty_token: str = ""
    terminal_time: datetime | None = None
    basket_revision: int = 0
    evaluation_time: datetime | None = None
    basket_pin: bytes = b""
    age_verification: AgeVerification = AgeVerification()
    attributes: tuple[NamedValue, ...] = ()

"""The small signed tables that the rules tier reads, and nothing else.

They ride in the fallback bundle, so a terminal alone and a gateway in emergency read the
same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal_client.core.reading import DocumentError, Fields

HOURS, WEEKDAYS = 24, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWeek:
    """Items advertised at a loyalty price between two store-local dates, inclusive."""

    first_date: int
    last_date: int
    items: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """The promotion plan, and the items mostly sold at a loyalty price last week."""

    plan: tuple[PlannedWeek, ...] = ()
    majority: frozenset[str] = frozenset()

    def loyalty_price_applies(self, item_id: str, date: int) -> bool:
        """Tell whether the loyalty price of ``item_id`` applies on ``date``.

        In the plan of that date: yes; else as most lines of the item were last week; an
        item never seen: no.
        """
        for week in self.plan:
            if week.first_date <= date <= week.last_date and item_id in week.items:
                return True
        return item_id in self.majority


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationTable:
    """The store's best sellers in order, and how many to recommend."""

    items: tuple[str, ...] = ()
    count: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalsTable:
    """Customers per hour by ISO weekday and hour, mean service time and open lanes."""

    per_hour: tuple[tuple[int, ...], ...]
    service_s: int
    lanes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All of them; ``segments`` maps a targeting segment to its loyalty tokens."""

    price: PriceTable = PriceTable()
    recommendation: RecommendationTable = RecommendationTable()
    arrivals: ArrivalsTable | None = None
    segments: tuple[tuple[str, frozenset[str]], ...] = ()

    def targeting(self, loyalty_token: str) -> tuple[str, ...]:
        """Return the segments of a household, sorted; none without a token."""
        if not loyalty_token:
            return ()
        return tuple(name for name, tokens in self.segments if loyalty_token in tokens)


def read_tables(fields: Fields) -> Tables:
    """Read the ``tables`` object; raises DocumentError."""
    price = fields.object("price") if fields.has("price") else None
    recommendation = fields.object("recommendation") if fields.has("recommendation") else None
    arrivals = fields.object("arrivals") if fields.has("arrivals") else None
    segments = fields.table("segments", _read_tokens)
    tables = Tables(
        price=_read_price(price) if price else PriceTable(),
        recommendation=(
            _read_recommendation(recommendation) if recommendation else RecommendationTable()
        ),
        arrivals=_read_arrivals(arrivals) if arrivals else None,
        segments=tuple(sorted(segments.items())),
    )
    fields.close()
    return tables


def _read_price(fields: Fields) -> PriceTable:
    table = PriceTable(
        plan=fields.items("plan", _read_planned_week),
        majority=frozenset(fields.texts("majority")),
    )
    fields.close()
    return table


def _read_planned_week(value: object, path: str) -> PlannedWeek:
    fields = Fields(value, path)
    first = fields.integer("first_date", 1970_01_01, 2200_12_31)
    week = PlannedWeek(
        first_date=first,
        last_date=fields.integer("last_date", first, 2200_12_31),
        items=frozenset(fields.texts("items")),
    )
    fields.close()
    return week


def _read_recommendation(fields: Fields) -> RecommendationTable:
    table = RecommendationTable(
        items=fields.texts("items"), count=fields.integer("count", 0, 20, default=5)
    )
    fields.close()
    return table


def _read_arrivals(fields: Fields) -> ArrivalsTable:
    table = ArrivalsTable(
        per_hour=fields.items("per_hour", _read_hours),
        service_s=fields.integer("service_s", 1, 3_600),
        lanes=fields.integer("lanes", 1, 1_000),
    )
    fields.close()
    if len(table.per_hour) != WEEKDAYS:
        raise DocumentError(
            fields.at("per_hour"), f"has {len(table.per_hour)} days", "write one list per weekday"
        )
    return table


def _read_hours(value: object, path: str) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != HOURS:
        raise DocumentError(path, "is no list of 24", "write customers per hour, 0 h to 23 h")
    hours = Fields({str(hour): count for hour, count in enumerate(value)}, path)
    return tuple(hours.integer(str(hour), 0, 1_000_000) for hour in range(HOURS))


def _read_tokens(value: object, path: str) -> frozenset[str]:
    return frozenset(Fields({"tokens": value}, path).texts("tokens"))

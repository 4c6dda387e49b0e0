"""Reading the demo's records back, strictly: a figure never rests on a misspelt field."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from examples.complete_journey.demo.records import (
    MODES,
    PLACES,
    REPLAYS,
    RESULTS,
    TIERS,
    VERDICTS,
    CallRecord,
    CouponVerdict,
    LineOutcome,
    Machine,
    RunFacts,
    Settlement,
    Span,
    StageEntry,
)
from terminal_client.core.reading import DocumentError, Fields

T = TypeVar("T")

_LONGEST_MS = 86_400_000.0
_LONGEST_DAYS = 36_500.0


def read_calls(paths: Iterable[Path]) -> Iterator[CallRecord]:
    """Yield the calls of several files, in the files' order.

    Raises:
        DocumentError: a line is no call; the error names file, line, key and remedy.
    """
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                yield _call(_parsed(line, f"{path.name}:{number}"), f"{path.name}:{number}")


def read_facts(path: Path) -> RunFacts:
    """Read the facts of a run.

    Raises:
        DocumentError: the file holds no facts; the error names key and remedy.
    """
    read = Fields(_parsed(path.read_text(encoding="utf-8"), path.name), path.name)
    facts = RunFacts(
        started=_time(read, "started"),
        finished=_time(read, "finished"),
        wall_s=read.number("wall_s", 0, 1e6),
        replay=_choice(read, "replay", REPLAYS),
        store=read.integer("store", 0),
        weeks=_list(read, "weeks", _integer),
        lanes=_list(read, "lanes", _word),
        calls_planned=read.integer("calls_planned", 0),
        wan_cut=_span(read, "wan_cut"),
        gateway_dead=_span(read, "gateway_dead"),
        first_answer_after_restart_ms=_number(read, "first_answer_after_restart_ms", _LONGEST_MS),
        deep_calls=read.integer("deep_calls", 0),
        answers_compared=read.integer("answers_compared", 0),
        answers_agreed=read.integer("answers_agreed", 0),
        settle=_settlement(read.object("settle")),
        processes=_list(read, "processes", _word),
        versions=_table(read, "versions"),
        machine=_machine(read.object("machine")),
    )
    read.close()
    return facts


def _call(value: object, path: str) -> CallRecord:
    read = Fields(value, path)
    call = CallRecord(
        request_id=read.text("request_id"),
        decision_id=read.text("decision_id"),
        lane=read.text("lane"),
        basket=read.integer("basket", 0),
        final=read.flag("final"),
        local_time=_time(read, "local_time"),
        week=read.integer("week", 1, 53),
        wan_up=read.flag("wan_up"),
        gateway_up=read.flag("gateway_up"),
        place=_choice(read, "place", PLACES),
        mode=_choice(read, "mode", MODES),
        fallback_reason=read.text("fallback_reason"),
        budget_ms=read.number("budget_ms", 0, _LONGEST_MS),
        took_ms=read.number("took_ms", 0, _LONGEST_MS),
        timer_late_ms=read.number("timer_late_ms", 0, _LONGEST_MS),
        gateway_total_ms=_number(read, "gateway_total_ms", _LONGEST_MS),
        gateway_budget_ms=_number(read, "gateway_budget_ms", _LONGEST_MS),
        verdict=_choice(read, "verdict", VERDICTS),
        reasons=_list(read, "reasons", _word),
        book_age_days=_number(read, "book_age_days", _LONGEST_DAYS),
        rules_version=read.text("rules_version"),
        lines=_rows(read, "lines", LineOutcome, _line),
        coupons=_rows(read, "coupons", CouponVerdict, _coupon),
        coupons_expected=_rows(read, "coupons_expected", CouponVerdict, _coupon),
        ledger=_rows(read, "ledger", StageEntry, _stage),
    )
    read.close()
    return call


def _line(read: Fields) -> LineOutcome:
    return LineOutcome(
        line_number=read.integer("line_number"),
        expected=read.flag("expected"),
        truth=read.flag("truth"),
        tier=_choice(read, "tier", TIERS),
        place=_choice(read, "place", PLACES),
        score=_number(read, "score", 1),
    )


def _coupon(read: Fields) -> CouponVerdict:
    return CouponVerdict(read.text("coupon_ref"), read.text("status"), read.text("reason"))


def _stage(read: Fields) -> StageEntry:
    return StageEntry(
        stage=read.text("stage"),
        workflow=read.text("workflow"),
        spent_us=read.integer("spent_us", 0),
        allotted_us=read.integer("allotted_us", 0),
        result=_choice(read, "result", RESULTS),
    )


def _settlement(read: Fields) -> Settlement:
    counts = {field.name: read.integer(field.name, 0) for field in fields(Settlement)}
    read.close()
    return Settlement(**counts)


def _machine(read: Fields) -> Machine:
    machine = Machine(
        cpu_count=read.integer("cpu_count", 1),
        system=read.text("system"),
        python=read.text("python"),
    )
    read.close()
    return machine


def _parsed(text: str, path: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError as exc:
        raise DocumentError(path, f"is not JSON ({exc})", "write one JSON object") from exc


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _rows(read: Fields, key: str, kind: type[T], one: Callable[[Fields], T]) -> tuple[T, ...]:
    """Return a required list of rows; a row is an array in the order of ``kind``'s fields."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]

    def row(value: object, path: str) -> T:
        if not isinstance(value, list) or len(value) != len(names):
            raise DocumentError(path, f"is {value!r:.40}", f"write [{', '.join(names)}]")
        return one(Fields(dict(zip(names, value, strict=True)), path))

    return _list(read, key, row)


def _list(read: Fields, key: str, one: Callable[[object, str], T]) -> tuple[T, ...]:
    """Return a list that must be there: an absent one is not an empty one."""
    read.raw(key)
    return read.items(key, one)


def _table(read: Fields, key: str) -> dict[str, str]:
    """Return a table of words that must be there."""
    read.raw(key)
    return read.table(key, _word)


def _choice(read: Fields, key: str, words: tuple[str, ...]) -> str:
    return read.choice(key, {word: word for word in words})


def _number(read: Fields, key: str, high: float) -> float | None:
    """Return a number in ``[0, high]`` or None; the key itself is required."""
    return None if read.raw(key) is None else read.number(key, 0, high)


def _time(read: Fields, key: str) -> datetime:
    return _moment(read.raw(key), read.at(key))


def _span(read: Fields, key: str) -> Span | None:
    if read.raw(key) is None:
        return None
    moments = read.items(key, _moment)
    if len(moments) != 2:
        raise DocumentError(read.at(key), f"has {len(moments)} times", "write [from, to]")
    return moments[0], moments[1]


def _moment(value: object, path: str) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError as exc:
        raise DocumentError(path, f"is {value!r:.40}", "write an ISO 8601 time") from exc


def _integer(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DocumentError(path, f"is {value!r:.40}", "write an integer")
    return value


def _word(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise DocumentError(path, f"is {value!r:.40}", "write a string")
    return value

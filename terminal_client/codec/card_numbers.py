"""Keeps card numbers out: what may be one is blanked before anything keeps it.

Runs on tokens, free text and the retailer's own values, never on item ids or coupon data:
9.9 % of valid GTIN-13/14 also pass the Luhn check. A number is what remains when everything
that is neither letter nor digit is taken out from between digits, so that blanks, hyphens,
dots or full-width digits hide none.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate

_TOKEN = re.compile(r"(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{8,64}\Z")
# Separator and digit exclude each other, so the search is linear.
_DIGIT_RUN = re.compile(r"[0-9](?:[^0-9A-Za-z]*[0-9]){12,}")
# A UUID or a digest in hexadecimal: by chance its digits look like a card number now and
# then, and no card number looks like it. One letter at least: digits alone are judged.
_IDENTIFIER = re.compile(
    r"(?=[^a-fA-F]*[a-fA-F])"
    r"(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})\Z"
)
_DIGITS = re.compile(r"[0-9]+")
# Issuers' first digits (ISO/IEC 7812): 3 to 6, and 2221 to 2720.
_ISSUER = re.compile(r"[3-6]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)")
_LONGEST, _SHORTEST = 19, 13
_USUAL, _AMERICAN_EXPRESS = 16, 15


def payment_token(text: str) -> bool:
    """Tell whether ``text`` has the strict shape of an instrument token."""
    return _TOKEN.match(text) is not None and not holds_card_number(text)


def holds_card_number(text: str) -> bool:
    """Tell whether ``text`` may hold a card number. Linear in its length.

    A number of 13 to 19 digits that begins like an issuer's and passes the Luhn check, with
    or without digits behind it (an expiry date, say); and any longer number: no token is
    one. UUIDs and hexadecimal digests are none.
    """
    if len(text) < _SHORTEST or _IDENTIFIER.match(text):
        return False
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return any(_hides_one(_DIGITS.findall(run.group())) for run in _DIGIT_RUN.finditer(text))


def _hides_one(groups: list[str]) -> bool:
    """Tell whether a card number begins at the start of any of these groups of digits.

    It ends with a group, or has the usual length of its issuer.
    """
    if any(len(group) > _LONGEST for group in groups):
        return True
    digits = "".join(groups)
    ends = list(accumulate(map(len, groups)))
    sums = _LuhnSums(digits)
    for first, start in enumerate([0, *ends[:-1]]):
        if len(digits) - start < _SHORTEST:
            return False
        if not _ISSUER.match(digits, start):
            continue
        lengths = {_AMERICAN_EXPRESS if digits[start : start + 2] in ("34", "37") else _USUAL}
        lengths |= {end - start for end in ends[first : first + _LONGEST]}
        if any(
            _SHORTEST <= length <= min(_LONGEST, len(digits) - start)
            and sums.divisible(start, start + length)
            for length in lengths
        ):
            return True
    return False


class _LuhnSums:
    """Luhn sums of any part of a row of digits, each in constant time."""

    def __init__(self, digits: str) -> None:
        numbers = [int(digit) for digit in digits]
        doubled = [number * 2 - 9 * (number > 4) for number in numbers]
        # Doubled are the digits at odd places, or those at even ones.
        mixed = (
            (twice if place % 2 == odd else once)
            for odd in (1, 0)
            for place, (once, twice) in enumerate(zip(numbers, doubled, strict=True))
        )
        sums = list(mixed)
        half = len(digits)
        self._by_parity = (
            [0, *accumulate(sums[:half])],
            [0, *accumulate(sums[half:])],
        )

    def divisible(self, start: int, end: int) -> bool:
        """Tell whether ``digits[start:end]`` passes the Luhn check."""
        # The last digit counts once.
        sums = self._by_parity[(end - 1) % 2]
        return (sums[end] - sums[start]) % 10 == 0

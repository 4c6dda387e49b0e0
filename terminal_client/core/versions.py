"""Semantic versions, as far as floors need them: which of two comes first."""

from __future__ import annotations

import re

_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(?:-([0-9a-z.-]{1,64}))?\Z")

Precedence = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: str) -> Precedence:
    """Return the sort key of ``version`` (semver 2.0.0 precedence, lower case, no build part).

    Raises: ValueError: it is no such version.
    """
    match = _VERSION.match(version)
    if match is None:
        raise ValueError(f"{version!r:.80} is no version; write MAJOR.MINOR.PATCH")
    major, minor, patch, before = match.groups()
    # Without a pre-release part a version ranks above all that have one; numbers rank below
    # words.
    parts = () if before is None else tuple(_rank(part) for part in before.split("."))
    return int(major), int(minor), int(patch), before is None, parts


def _rank(part: str) -> tuple[bool, int, str]:
    return (False, int(part), "") if part.isdigit() else (True, 0, part)

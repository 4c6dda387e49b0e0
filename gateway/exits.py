"""The exit statuses of every ``posgate`` program, a documented contract."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a program ended with; docs/cli.md and ``--help`` list them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DEGRADED = 4
    UNHEALTHY = 5
    VERIFICATION_FAILED = 6
    TRY_LATER = 75


MEANINGS = {
    Exit.OK: "ok",
    Exit.FAILED: "posgate itself failed (--debug shows where)",
    Exit.USAGE: "wrong usage or configuration",
    Exit.UNREACHABLE: "the gateway cannot be reached",
    Exit.DEGRADED: "degraded: it answers with less than it could",
    Exit.UNHEALTHY: "unhealthy: it does not do its work",
    Exit.VERIFICATION_FAILED: "a certificate, key, root or database does not verify",
    Exit.TRY_LATER: "not now: try again later",
}

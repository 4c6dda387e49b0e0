"""The ``posgate`` command: its nouns, its exit statuses, and no traceback without --debug."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from gateway.cli import box_commands, config_commands, gateway_commands
from gateway.exits import MEANINGS, Exit

_EPILOG = "Exit status: " + " · ".join(f"{code.value} {text}" for code, text in MEANINGS.items())


class _Command(typer.Typer):
    """Turns an unexpected failure into one line and status 1."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as exc:
            if "--debug" in sys.argv[1:2]:
                raise
            print(f"error: {type(exc).__name__}: {exc}", file=sys.stderr)
            print("  next: run 'posgate --debug ...' and report what it says", file=sys.stderr)
            sys.exit(Exit.FAILED)


app = _Command(
    name="posgate",
    help="The in-store AI gateway for point-of-sale terminals.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(gateway_commands.app, name="gateway")
app.add_typer(config_commands.app, name="config")
app.add_typer(box_commands.mode_app, name="mode")
app.add_typer(box_commands.decision_app, name="decision")
app.command()(box_commands.status)


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where posgate itself failed.")
    ] = False,
) -> None:
    """Options before the command."""
    del debug


__all__ = ["app"]

if __name__ == "__main__":
    app()

"""``make demo``: replay a real store with the WAN pulled in the middle.

Exit status 0 only if every claim of the report holds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from examples.complete_journey.demo.machinery import DemoError
from examples.complete_journey.demo.run import run

FOLDER = Path("build/demo")


def main() -> int:
    """Read the command line, play the demo, say where the reports are."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--load", action="store_true", help="replay the folded store-year instead")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where everything goes")
    arguments = parser.parse_args()
    console = Console()
    folder = arguments.folder.absolute()
    kind = "folded" if arguments.load else "calendar"
    try:
        holds = asyncio.run(run(folder, kind=kind, console=console))
    except DemoError as error:
        console.print(f"[red]The demo could not go on:[/red] {error}")
        console.print(f"What its machines said is in {folder / 'logs'}")
        return 1
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

"""Common parts of the commands: adding one, its console, and checks before any work is done."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from chainrule.utils import files
from chainrule.utils.terminal import printable

Report = dict[str, Any]  # the output with --json


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], Report],
    about: str,
    example: str,
    complete: Callable[[argparse.Namespace], None] = lambda options: None,
) -> argparse.ArgumentParser:
    """Add a command: ``run`` takes its options, prints text, and returns the report for --json.

    Before, ``complete`` sets options whose defaults depend on others.
    """
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about.partition("\n")[0],
        description=about,
        epilog=f"examples:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--json", action="store_true", help="one JSON object on stdout, all else on stderr"
    )
    command.set_defaults(run=run, complete=complete)
    return command


def make_console() -> Console:
    """Return a console on which text from files, such as column names, cannot act as markup."""
    console = Console(markup=False, emoji=False, highlight=False)
    console.push_render_hook(_Printable())
    return console


class _Printable(RenderHook):
    """Wraps everything that is printed in :class:`_Escaped`."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Escaped(renderable) for renderable in renderables]


class _Escaped:
    """A renderable whose text is escaped, but not its style."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in console.render(self._renderable, options):
            yield Segment(text if control else printable(text), style, control)


def check_writable(path: Path | None, *sources: Path | None) -> None:
    """Raise an error if an output file cannot be written, before anything is computed.

    It must not be one of ``sources``, the files that the command reads.
    """
    if path is None:
        return
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise ValueError(f"There is no folder for {path}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file.")
    for source in sources:
        if source is not None and _is_same_file(path, source):
            raise ValueError(f"{path} is read by this command; write to another file.")
    try:
        files.check_writable(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}.") from None


def _is_same_file(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source) and not files.is_special(path)
    except FileNotFoundError:
        return False

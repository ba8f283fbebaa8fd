"""The command line: a file for each command, and common parts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from typing import NoReturn

import chainrule as cr
from chainrule.cli.output import Output, Unread
from chainrule.cli.termination import Termination
from chainrule.utils import json_values
from chainrule.utils.terminal import printable

INTERRUPTED = 130  # the convention of shells: 128 plus the number of the signal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    It is 0 for success, 2 for an error, 130 after Ctrl-C, and 128 plus the number of another signal
    that ended it.
    """
    output, messages = Output(sys.stdout), Output(sys.stderr)
    # argparse prints help and wrong usage, and ends the program.
    with redirect_stdout(output), redirect_stderr(messages), Termination() as termination:
        try:
            code = _run(arguments, output, messages)
            output.flush()
        except Unread:
            code = 0
        except SystemExit as end:
            output.flush()
            if output.error is None:
                raise
            code = int(end.code or 0)
        if output.error is not None and not isinstance(output.error, BrokenPipeError):
            print(f"chainrule: standard output: {output.error}", file=sys.stderr)
            code = code or 2
        messages.flush()
    return termination.code if code == INTERRUPTED and termination.code else code


def _run(arguments: Sequence[str] | None, output: Output, messages: Output) -> int:
    try:
        options = _parser().parse_args(arguments)
        options.complete(options)
        # If the command writes no file, a closed standard output ends it.
        output.is_all = all(getattr(options, name, None) is None for name in ("out", "html"))
        with redirect_stdout(messages) if options.json else nullcontext():
            report = options.run(options)
        if options.json:
            print(json.dumps(json_values.without_non_finite(report), allow_nan=False))
    except KeyboardInterrupt:
        print("chainrule: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, TypeError, OSError, MemoryError, ImportError, cr.NonFiniteError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}"  # without the number
        print(f"chainrule: {printable(text)}", file=sys.stderr)
        return 2
    return INTERRUPTED if report.get("interrupted") else 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    from chainrule.cli import bench, compile, explain, info, predict, train  # load rich

    parser = _Parser(
        prog="chainrule", description="Train neural networks by backpropagation, on NumPy arrays."
    )
    parser.add_argument("--version", action="version", version=f"chainrule {cr.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (train, predict, explain, bench, compile, info):
        command.add(commands)
    return parser

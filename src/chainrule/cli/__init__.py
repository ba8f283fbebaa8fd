"""The command line: a file for each command, and what they share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO, TextIOWrapper
from typing import TextIO

import chainrule as cr
from chainrule.cli import bench, explain, info, predict, train
from chainrule.cli.command import Report
from chainrule.cli.output import PatientOutput


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 2 wrong input, 130 interrupted."""
    # They are None where whoever started this has closed them.
    sys.stdout, sys.stderr = sys.stdout or StringIO(), sys.stderr or StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of classes may be in any script
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    output, messages = PatientOutput(sys.stdout), PatientOutput(sys.stderr)
    try:
        # A file is written whoever reads; without one, there is no reason to go on unread.
        if all(getattr(options, name, None) is None for name in ("out", "html")):
            report = _run(options, sys.stdout, sys.stderr)
        else:
            report = _run(options, output, messages)  # type: ignore[arg-type]
        if output.error is not None:
            _drop_the_rest()
            raise output.error
    except KeyboardInterrupt:
        print("chainrule: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads has seen enough, as `head` does
        _drop_the_rest()
        return 0
    except (ValueError, TypeError, OSError, MemoryError, cr.NonFiniteError) as error:
        print(f"chainrule: {error}", file=sys.stderr)
        return 2
    return 130 if report.get("interrupted") else 0


def _run(options: argparse.Namespace, output: TextIO, messages: TextIO) -> Report:
    with redirect_stdout(messages if options.json else output):
        report: Report = options.run(options)
    if options.json:
        print(json.dumps(report), file=output)
    output.flush()
    return report


def _drop_the_rest() -> None:
    """Let what is still to be written to stdout go nowhere, also when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chainrule", description="Train neural networks by backpropagation, on NumPy arrays."
    )
    parser.add_argument("--version", action="version", version=f"chainrule {cr.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (train, predict, explain, bench, info):
        command.add(commands)
    return parser

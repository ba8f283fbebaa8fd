"""The command line: a file for each command, and what they share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from typing import NoReturn

import chainrule as cr
from chainrule.cli import bench, explain, info, predict, train
from chainrule.terminal import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 2 wrong input, 130 interrupted."""
    # They are None where whoever started this has closed them.
    sys.stdout, sys.stderr = sys.stdout or StringIO(), sys.stderr or StringIO()
    options = _parser().parse_args(arguments)
    try:
        with redirect_stdout(sys.stderr) if options.json else nullcontext():
            report = options.run(options)
        if options.json:
            print(json.dumps(report))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("chainrule: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, MemoryError, cr.NonFiniteError) as error:
        print(f"chainrule: {printable(str(error))}", file=sys.stderr)
        return 2
    return 130 if report.get("interrupted") else 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="chainrule", description="Train neural networks by backpropagation, on NumPy arrays."
    )
    parser.add_argument("--version", action="version", version=f"chainrule {cr.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (train, predict, explain, bench, info):
        command.add(commands)
    return parser

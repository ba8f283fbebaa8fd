"""Run a guide's examples in a folder, where they leave their figures; stop at a wrong output.

python docs/run_guide.py docs/chain-rule.md docs/figures
"""

import doctest
import os
import sys
from pathlib import Path

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run(guide: Path, folder: Path) -> doctest.TestResults:
    """Run the blocks of Python in a Markdown file, one after the other."""
    lines = []
    inside = False
    for line in guide.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):  # ends an example's output, as an empty line does elsewhere
            inside, line = not inside, ""
        elif inside and not line:
            line = "<BLANKLINE>"
        lines.append(line)
    test = doctest.DocTestParser().get_doctest("\n".join(lines), {}, guide.name, str(guide), 0)
    before = Path.cwd()
    os.chdir(folder)
    try:
        runner = doctest.DocTestRunner(optionflags=OPTIONS)
        runner.run(test)
        return runner.summarize()
    finally:
        os.chdir(before)


if __name__ == "__main__":
    guide, folder = map(Path, sys.argv[1:])
    sys.exit(run(guide.resolve(), folder.resolve()).failed > 0)

"""Try `chainrule train` and `chainrule predict` on many .csv files, with no option but --target.

    python -m benchmarks.real_tables FOLDER...

tries all .csv files in the folders, such as those of installed packages. The target is what pandas
finds to be the last column without missing cells that holds varying numbers, or text (no dates) of
few values; if there is none, the last one. Prints how many files were trained on and predicted, and
what the others were refused for. pydataset's files are in an archive of its package.
"""

import argparse
import contextlib
import io
import tempfile
import warnings
from pathlib import Path

import pandas as pd

from chainrule import cli

QUICK = ("--epochs", "2", "--hidden", "8")
SEPARATORS = ",", ";", "\t", r"\s+"


def read(path):
    """Return a table as pandas reads it by the first separator that gives several columns."""
    for encoding in ("utf-8", "cp1252"):
        for separator in SEPARATORS:
            with contextlib.suppress(Exception):
                table = pd.read_csv(path, sep=separator, encoding=encoding, skipinitialspace=True)
                if table.shape[1] > 1:
                    return table
    return pd.DataFrame()


def target_of(table):
    names = [name for name in table if not str(name).startswith("Unnamed: 0")]
    for name in reversed(names):
        cells = table[name]
        if cells.isna().any():
            continue
        if pd.api.types.is_numeric_dtype(cells) and cells.nunique() > 1:
            return str(name).strip()
        if 2 <= cells.nunique() <= max(2, len(cells) / 5) and not are_dates(cells):
            return str(name).strip()
    return str(names[-1]).strip() if names else None


def are_dates(cells):
    try:
        pd.to_datetime(cells.astype(str))
    except (ValueError, OverflowError):
        return False
    return True


def run(*arguments):
    """Return the last line of the error, or None."""
    error = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        code = cli.main(list(map(str, arguments)))
    return error.getvalue().strip().partition("chainrule: ")[2] if code else None


def attempt(path, model):
    """Train and predict; return the error of what failed, or None."""
    target = target_of(read(path))
    if target is None:
        return "pandas finds no column"
    error = run("train", path, "--target", target, "--out", model, *QUICK)
    if error and "columns are column 1, column 2" in error:  # no header
        target = f"column {error.rpartition('column ')[2].rstrip('.')}"
        error = run("train", path, "--target", target, "--out", model, *QUICK)
    return error or run("predict", model, path)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    folders = parser.parse_args().folders
    warnings.simplefilter("ignore")
    paths = [path for folder in folders for path in sorted(folder.rglob("*.csv"))]
    paths = [path for path in paths if "tests" not in path.parts and path.name[0] != "."]
    errors = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            if error := attempt(path, Path(folder, "model.safetensors")):
                errors[path] = error
    print(f"{len(paths) - len(errors)} of {len(paths)} files were trained on and predicted.")
    for path, error in errors.items():
        print(f"{path}: {error.replace(str(path), path.name)[:200]}")


if __name__ == "__main__":
    main()

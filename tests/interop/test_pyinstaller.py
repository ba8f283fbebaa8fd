"""What a program that PyInstaller builds gets of the package."""

import pkgutil
import runpy
import tomllib
from pathlib import Path, PurePath

import chainrule as cr
from chainrule.kernels import cache

PACKAGE = Path(cr.__file__).parent


def test_the_hook_names_all_modules_and_data():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    entry_point = project["entry-points"]["pyinstaller40"]["hook-dirs"]
    (folder,) = pkgutil.resolve_name(entry_point)()
    hook = runpy.run_path(str(Path(folder) / "hook-chainrule.py"))
    modules = {
        "chainrule.engine.interpreter",
        "chainrule.engine.samples",
        "chainrule.reference.loss",
    }
    modules |= {
        "chainrule.training.callbacks.early_stopping",
        "chainrule.kernels.loss",
        "chainrule.cli.train",
    }
    assert modules <= set(hook["hiddenimports"])
    # Those for other packages come where they are asked for: some would bring gigabytes along.
    names = hook["hiddenimports"]
    assert not [name for name in names if name.startswith("chainrule.interop.")]
    for source, target in hook["datas"]:
        assert PurePath(source) == PACKAGE.parent / target / PurePath(source).name
    data = {Path(source).relative_to(PACKAGE).as_posix() for source, _ in hook["datas"]}
    assert {"datasets/data/digits.csv.gz", "explain/page/page.html", "explain/page/page.js"} <= data
    assert all(not name.endswith((".py", ".pyc")) for name in data)
    folders = {pattern.partition("/")[0] for pattern in cache._COMPILED_SOURCES}
    assert hook["module_collection_mode"].keys() == {f"chainrule.{name}" for name in folders}

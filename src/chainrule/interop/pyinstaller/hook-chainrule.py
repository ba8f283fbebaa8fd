"""What PyInstaller does not find by itself: modules imported by their names, data and sources."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]
# Its modules need other packages: PyInstaller includes both if the program imports them.
_LEFT_OUT = "interop"

_files = [
    path
    for path in sorted(_PACKAGE.rglob("*"))
    if path.is_file() and path.relative_to(_PACKAGE).parts[0] != _LEFT_OUT
]
hiddenimports = [
    ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts)
    for path in _files
    if path.suffix == ".py" and path.stem != "__init__"
]
datas = [
    (str(path), str(path.parent.relative_to(_PACKAGE.parent)))
    for path in _files
    if path.suffix not in (".py", ".pyc")
]
# The compiled code that is kept on disk is named after the sources that it was made of.
module_collection_mode = dict.fromkeys(
    ("chainrule.engine", "chainrule.kernels", "chainrule.operations", "chainrule.plan"), "pyz+py"
)

"""For PyInstaller, which looks here when it builds a program that imports chainrule."""

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """Return where ``hook-chainrule.py`` lies."""
    return [str(Path(__file__).parent)]

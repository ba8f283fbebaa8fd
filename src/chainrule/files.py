"""Files that are whole or not there: written beside their place, then renamed."""

import os
from pathlib import Path
from threading import get_ident


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path``; whatever happens meanwhile, an older file stays whole.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind then.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    beside = target.with_name(f".{target.name[:100]}.{os.getpid()}.{get_ident()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a crash of the machine could leave an empty file
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise

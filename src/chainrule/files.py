"""Files that are whole or not there: written beside their place, then renamed."""

import os
import re
import time
from pathlib import Path
from threading import get_ident

ABANDONED = 600  # seconds without a change, after which no process writes a part any more


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path``; whatever happens meanwhile, an older file stays whole.

    What processes that were killed have left beside it is removed.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind then.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    start = f".{target.name[:100]}."
    _remove_parts(target.parent, start)
    beside = target.with_name(f"{start}{os.getpid()}.{get_ident()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a crash of the machine could leave an empty file
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _remove_parts(folder: Path, start: str) -> None:
    """Remove parts that nobody will finish; those that cannot be removed stay."""
    part = re.compile(re.escape(start) + r"(\d{1,9})\.\d+\.part")
    try:
        names = os.listdir(folder)
    except OSError:
        return  # to write says why, if it cannot either
    for name in names:
        if found := part.fullmatch(name):
            try:
                last_change = os.stat(folder / name).st_mtime
                if _is_gone(int(found[1])) or time.time() > last_change + ABANDONED:
                    os.unlink(folder / name)
            except OSError:
                pass  # somebody else was quicker, or it is somebody else's


def _is_gone(process: int) -> bool:
    if os.name != "posix":  # elsewhere, signal 0 is a signal
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is another user's
        pass
    return False

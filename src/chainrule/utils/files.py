"""Atomic writes: a file is written under another name in its folder, then renamed."""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EISDIR
from pathlib import Path
from threading import get_ident

ABANDONED = 600  # seconds without a change, after which no process writes a part any more


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path``; whatever happens meanwhile, an older file stays whole.

    A file that is there is replaced, and keeps its mode and owner; a link to it stays one. What
    processes that were killed have left beside it is removed. What is no regular file, such as
    ``/dev/stdout`` or a named pipe, is written into.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind then.
    """
    with _naming(path):
        special = open_special(path)
        if special is None:
            _replace(path, content)
            return
        with open(special, "wb") as file:
            file.write(content)


def _replace(path: str | os.PathLike[str], content: bytes) -> None:
    target, start, beside = _places(path)
    _remove_parts(target.parent, start)
    try:
        with open(_create_like(target, beside), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a crash of the machine could leave an empty file
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError if :func:`write_whole` could not begin to write; leave everything as it was."""
    if is_special(path):  # to open a named pipe would wait for its reader
        if not os.access(path, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), os.fspath(path))
        return
    with _naming(path):
        target, _, beside = _places(path)
        os.close(_create_like(target, beside))
        beside.unlink()


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make errors of the system name the path that was asked for, not the temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # the handler of a signal has raised it
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _places(path: str | os.PathLike[str]) -> tuple[Path, str, Path]:
    """Return the file that ``path`` means, how the names of its parts begin, and one beside it."""
    target = Path(os.path.realpath(path))
    if target.is_dir() or not os.path.basename(path):  # "models/" would become a file
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    start = f".{target.name[:100]}."
    return target, start, target.with_name(f"{start}{os.getpid()}.{get_ident()}.part")


def is_special(path: str | os.PathLike[str]) -> bool:
    """Tell whether ``path`` is there and must be written into, since it is no file to replace.

    These are devices, named pipes, sockets, and open files of this process (``/dev/stdout``),
    wherever these lead to.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return _descriptor(path) is not None or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_special(path: str | os.PathLike[str]) -> int | None:
    """Return a new descriptor to write into a special file; None for other paths."""
    if not is_special(path):
        return None
    own = _descriptor(path)
    # To open /dev/stdout would begin at the start of the file that it leads to.
    return os.open(path, os.O_WRONLY) if own is None else os.dup(own)


def _descriptor(path: str | os.PathLike[str]) -> int | None:
    """Return the number of the open file that ``/dev/stdout``, ``/dev/fd/3`` or a link means."""
    place, descriptors = os.fspath(path), os.path.realpath("/dev/fd")
    while True:
        folder, name = os.path.split(place)
        if os.path.realpath(folder) == descriptors and name.isdecimal():
            return int(name)
        if not os.path.islink(place):
            return None
        place = os.path.join(folder, os.readlink(place))


def _create_like(target: Path, beside: Path) -> int:
    """Open a new file that has mode and owner of ``target``, as far as may be; else the usual."""
    beside.unlink(missing_ok=True)
    # Never through a link that somebody has put there; and nobody may look into it meanwhile who
    # may not in the end.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return os.open(beside, flags, 0o666)
    descriptor = os.open(beside, flags, 0o600)
    if os.name == "posix":
        with suppress(PermissionError):  # another's file keeps its mode only
            os.fchown(descriptor, old.st_uid, old.st_gid)
        with suppress(PermissionError):  # some file systems have no modes
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    return descriptor


def _remove_parts(folder: Path, start: str) -> None:
    """Remove unfinished files of earlier writes, where that is possible."""
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

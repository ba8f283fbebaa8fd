"""Paths, and atomic writes: a file is written under another name in its folder, then renamed."""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EISDIR
from pathlib import Path
from threading import get_ident
from typing import Any

from chainrule.utils.arguments import shortened

ABANDONED = 600  # seconds without a change after which a temporary file is abandoned


def check_path(path: Any, name: str = "path") -> str:
    """Return a path as a str; TypeError if it is none.

    ``open`` would take a number, or True, as an open file of this process, and close it.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{name} must be a path, such as 'folder/file', not {shortened(path)}.")
    return os.fspath(path)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path`` atomically: if it fails, an existing file stays unchanged.

    An existing file is replaced and keeps its mode and owner; symbolic links are followed.
    Temporary files of killed processes are removed. A special file, such as ``/dev/stdout`` or a
    named pipe, is not replaced but written into.

    Raises
    ------
    OSError
        If it cannot be written; the temporary file is removed.
    TypeError
        If ``path`` is none.
    """
    check_path(path)
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
            os.fsync(file.fileno())  # otherwise a crash of the machine could leave an empty file
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError if :func:`write_whole` could not begin to write; nothing is changed."""
    if is_special(path):  # opening a named pipe would wait for its reader
        if not os.access(path, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), os.fspath(path))
        return
    with _naming(path):
        target, _, beside = _places(path)
        os.close(_create_like(target, beside))
        beside.unlink()


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make the system's errors name the given path, not the temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a signal handler raised it
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _places(path: str | os.PathLike[str]) -> tuple[Path, str, Path]:
    """Return the resolved path, the prefix of its temporary files' names, and such a file."""
    target = Path(os.path.realpath(path))
    if target.is_dir() or not os.path.basename(path):  # "models/" would become a file
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    start = f".{target.name[:100]}."
    return target, start, target.with_name(f"{start}{os.getpid()}.{get_ident()}.part")


def is_special(path: str | os.PathLike[str]) -> bool:
    """Tell whether ``path`` exists and is a special file, which must not be replaced.

    These are devices, named pipes, sockets, and open files of this process (``/dev/stdout``), also
    if they refer to regular files.
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
    existing = _descriptor(path)
    # Opening /dev/stdout would write from the start of the file that it refers to.
    return os.open(path, os.O_WRONLY) if existing is None else os.dup(existing)


def _descriptor(path: str | os.PathLike[str]) -> int | None:
    """Return the descriptor to which ``/dev/stdout``, ``/dev/fd/3`` or a link to them refers."""
    place, descriptors = os.fspath(path), os.path.realpath("/dev/fd")
    while True:
        folder, name = os.path.split(place)
        if os.path.realpath(folder) == descriptors and name.isdecimal():
            return int(name)
        if not os.path.islink(place):
            return None
        place = os.path.join(folder, os.readlink(place))


def _create_like(target: Path, beside: Path) -> int:
    """Open a new file with the mode and owner of ``target``, if that exists and is permitted."""
    beside.unlink(missing_ok=True)
    # O_EXCL: not through a link that somebody put there. Mode 600 until the final mode is set, so
    # that nobody else can read the file meanwhile.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return os.open(beside, flags, 0o666)
    descriptor = os.open(beside, flags, 0o600)
    if os.name == "posix":
        with suppress(PermissionError):  # a file of another user: only the mode can be kept
            os.fchown(descriptor, old.st_uid, old.st_gid)
        with suppress(PermissionError):  # some file systems have no modes
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    return descriptor


def _remove_parts(folder: Path, start: str) -> None:
    """Remove temporary files of interrupted writes, where possible."""
    part = re.compile(re.escape(start) + r"(\d{1,9})\.\d+\.part")
    try:
        names = os.listdir(folder)
    except OSError:
        return  # the write that follows raises the error
    for name in names:
        if found := part.fullmatch(name):
            try:
                last_change = os.stat(folder / name).st_mtime
                if _is_gone(int(found[1])) or time.time() > last_change + ABANDONED:
                    os.unlink(folder / name)
            except OSError:
                pass  # another process removed it, or it is another user's


def _is_gone(process: int) -> bool:
    if os.name != "posix":  # on Windows, signal 0 is Ctrl-C
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is another user's
        pass
    return False

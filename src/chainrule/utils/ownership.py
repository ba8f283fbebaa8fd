"""Whether only the user and root could have written a file, as ssh checks its own files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def who_else_writes(folder: Path) -> str | None:
    """Return a message about who else could write into a folder; None if nobody could.

    The folders above it are checked too, up to the user's home: whoever may rename one of them can
    replace it.
    """
    if os.name != "posix":  # elsewhere, the folders below a user's home are that user's alone
        return None
    folder = Path(os.path.realpath(folder))
    for place in _folders_to_check(folder):
        found = _other_writer(os.stat(place), sticky_helps=place != folder)
        if found is not None:
            return f"{place} {found}"
    return None


def is_own_file(descriptor: int) -> bool:
    """Tell whether nobody but the user and root could have written an open file."""
    return os.name != "posix" or _other_writer(os.fstat(descriptor), sticky_helps=False) is None


def _folders_to_check(folder: Path) -> Iterator[Path]:
    home = Path(os.path.realpath(os.path.expanduser("~")))
    for place in (folder, *folder.parents):
        yield place
        if place == home:
            return


def _other_writer(status: os.stat_result, *, sticky_helps: bool) -> str | None:
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to another user (number {status.st_uid})"
    if sticky_helps and status.st_mode & stat.S_ISVTX:  # as /tmp: only the owner can rename a file
        return None
    others = status.st_mode & stat.S_IWOTH
    if others or (status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid)):
        return f"can be written by others (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def _is_private_group(group: int) -> bool:
    """Tell whether a group is that of this user alone, as many systems make one for each."""
    import grp
    import pwd

    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:  # no name, as in some containers
        return False
    return (found.gr_name, found.gr_gid) == (user.pw_name, user.pw_gid) and (
        set(found.gr_mem) <= {user.pw_name}
    )

"""Who else could write into a folder, as ssh asks of its own files."""

import os

import pytest

from chainrule.utils.ownership import is_own_file, who_else_writes

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="owners and modes of POSIX"),
]
root = pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root gives files away")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with the folder a/b in it, that nobody else can write into."""
    folder = tmp_path.resolve() / "home"
    (folder / "a" / "b").mkdir(parents=True)
    for place in (folder, folder / "a", folder / "a" / "b"):
        place.chmod(0o755)
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.parametrize("where", ["a/b", "a", "."])
@pytest.mark.parametrize("mode", [0o757, 0o777, 0o707])
def test_others_can_write(home, where, mode):
    assert who_else_writes(home / "a" / "b") is None
    (home / where).chmod(mode)
    found = who_else_writes(home / "a" / "b")
    assert found == f"{home / where} can be written by others (mode {mode:o})"
    link = home.parent / "link"
    link.symlink_to(home / "a" / "b")
    assert who_else_writes(link) == found


@root
@pytest.mark.parametrize("where", ["a/b", "a", "."])
def test_it_belongs_to_another(home, where):
    os.chown(home / where, 12345, -1)
    found = who_else_writes(home / "a" / "b")
    assert found == f"{home / where} belongs to another user (number 12345)"


def test_where_nobody_renames_what_is_anothers(home):
    (home / "a").chmod(0o1777)
    assert who_else_writes(home / "a" / "b") is None
    assert "mode 1777" in who_else_writes(home / "a")  # anybody may put a file there


def test_what_is_above_the_home_does_not_count(home):
    home.parent.chmod(0o777)
    assert who_else_writes(home / "a" / "b") is None
    home.parent.joinpath("elsewhere").mkdir(mode=0o755)
    assert "mode 777" in who_else_writes(home.parent / "elsewhere")


def test_a_group_counts_unless_it_is_the_users_own(home, monkeypatch):
    grp, pwd = pytest.importorskip("grp"), pytest.importorskip("pwd")
    (home / "a").chmod(0o775)
    group = (home / "a").stat().st_gid

    def know(user, its_group, name, members):
        entry = (user, "x", os.geteuid(), its_group, "", "", "")
        monkeypatch.setattr(pwd, "getpwuid", lambda number: pwd.struct_passwd(entry))
        found = grp.struct_group((name, "x", group, members))
        monkeypatch.setattr(grp, "getgrgid", lambda number: found)

    for private in (("me", group, "me", []), ("me", group, "me", ["me"])):
        know(*private)
        assert who_else_writes(home / "a" / "b") is None
    for shared in (
        ("me", group, "staff", []),
        ("me", group + 1, "me", []),
        ("me", group, "me", ["you"]),
    ):
        know(*shared)
        assert "mode 775" in who_else_writes(home / "a" / "b")

    def unknown(number):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert "mode 775" in who_else_writes(home / "a" / "b")


def test_files(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        for mode, own in ((0o644, True), (0o600, True), (0o646, False), (0o602, False)):
            os.chmod(tmp_path / "file", mode)
            assert is_own_file(file.fileno()) == own


@root
def test_files_of_others(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        os.chown(tmp_path / "file", 12345, -1)
        assert not is_own_file(file.fileno())

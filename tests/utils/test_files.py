"""All writers: what is a file is replaced whole and keeps its mode; into all else they write."""

import ast
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli
from chainrule.utils.files import check_writable, is_special, open_special, write_whole

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="modes and named pipes are POSIX's"),
]

rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)


def network():
    return cr.Sequential(cr.Linear(3, 4, name="H"), cr.Tanh(), cr.Linear(4, 2), seed=0)


def fit(**options):
    loss = cr.CrossEntropyLoss()
    return cr.fit(network(), X, y, loss=loss, epochs=1, progress=False, **options)


def table(folder):
    path = folder / "table.csv"
    rows = [f"{a:.3f},{b:.3f},{c:.3f},{k}" for (a, b, c), k in zip(X, y, strict=True)]
    path.write_text("\n".join(["a,b,c,k", *rows]) + "\n")
    return path


def command(*arguments):
    assert cli.main([str(argument) for argument in arguments]) == 0


def save_model(path):
    network().save(path)


def save_onnx(path):
    network().to_onnx(path)


def save_state_dict(path):
    cr.interop.torch.save_state_dict(network(), path)


def save_page(path):
    cr.explain(network(), cr.CrossEntropyLoss(), X[:2], y[:2]).to_html(path)


def save_checkpoint(path):
    fit(checkpoint=path)


def model_checkpoint(path):
    fit(callbacks=[cr.callbacks.ModelCheckpoint(path, monitor="loss")])


def csv_logger(path):
    fit(callbacks=[cr.callbacks.CSVLogger(path)])


def jsonl_logger(path):
    fit(callbacks=[cr.callbacks.JSONLLogger(path)])


def train_command(path):
    command("train", table(path.parent), "--target", "k", "--epochs", "1", "--out", path)


def predict_command(path):
    model = path.parent / "model.safetensors"
    train_command(model)
    command("predict", model, path.parent / "table.csv", "--out", path)


WRITERS = [
    save_model,
    save_onnx,
    save_state_dict,
    save_page,
    save_checkpoint,
    model_checkpoint,
    csv_logger,
    jsonl_logger,
    train_command,
    predict_command,
]
every_writer = pytest.mark.parametrize("write", WRITERS)


class Listener:
    """Reads in a thread what comes through a pipe, until the last writer is closed."""

    def __init__(self, descriptor, writer):
        self.descriptor, self.writer, self.content = descriptor, writer, b""
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        try:
            while part := os.read(self.descriptor, 1 << 16):
                self.content += part
        except OSError:  # so ends a pseudo terminal
            pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self.writer)
        self._thread.join(10)
        assert not self._thread.is_alive(), "somebody has left the pipe open"
        os.close(self.descriptor)


def reading(fifo):
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)  # else the pipe would end between two of them
    os.set_blocking(reader, True)
    return Listener(reader, writer)


@every_writer
def test_a_named_pipe_is_written_into(tmp_path, write):
    fifo, link, regular = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    write(regular)
    for path in (fifo, link):
        with reading(fifo) as listener:
            write(path)
        assert stat.S_ISFIFO(os.stat(fifo).st_mode)
        assert link.is_symlink()
        content = regular.read_bytes()
        if write in (csv_logger, jsonl_logger, save_checkpoint):  # the times in them differ
            assert len(listener.content) > 0.5 * len(content)
        else:
            # safetensors writes the entries of its header in any order.
            assert sorted(listener.content) == sorted(content)


@every_writer
def test_a_terminal_is_written_into(tmp_path, write):
    tty = pytest.importorskip("tty")
    master, slave = os.openpty()
    tty.setraw(slave)
    device = os.stat(os.ttyname(slave))
    link = tmp_path / "link"
    link.symlink_to(os.ttyname(slave))
    with Listener(master, slave) as listener:
        write(link)
        assert os.stat(os.ttyname(slave)).st_rdev == device.st_rdev
    assert len(listener.content) > 20


@every_writer
@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_the_mode_is_kept(tmp_path, write, mode):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"older")
    path.chmod(mode)
    link.symlink_to(path)
    write(link)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert link.is_symlink()
    assert path.read_bytes()[:5] != b"older"


@every_writer
@pytest.mark.parametrize(("umask", "mode"), [(0o027, 0o640), (0o002, 0o664)])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path, write, umask, mode):
    before = os.umask(umask)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_there_are_no_other_writers():
    """Whoever opens a file to write into it goes through files.py, or is known here."""
    known = {
        "training/callbacks/epoch_log.py",  # adds lines to a file, for which it asks files.py
        "utils/files.py",
        "kernels/cache.py",  # in a folder of its own
    }
    package = Path(cr.__file__).parent
    found = {
        source.relative_to(package).as_posix()
        for source in package.rglob("*.py")
        if any(map(opens_to_write, ast.walk(ast.parse(source.read_text(encoding="utf-8")))))
    }
    assert found == known


def opens_to_write(node):
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    modes = [
        part.value
        for argument in (*node.args[1:], *(keyword.value for keyword in node.keywords))
        for part in ast.walk(argument)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    return (
        name in ("open", "FileIO") and any(re.fullmatch("[rwaxbt+]*[wax+][bt+]*", m) for m in modes)
    ) or (name in ("write_bytes", "write_text", "save_file", "savez", "tofile", "mkstemp", "dump"))


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="there is none")
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "a link"])
def test_standard_output_is_written_into_wherever_it_leads(tmp_path, path):
    if path == "a link":
        path = tmp_path / "link"
        path.symlink_to("/dev/stdout")
    code = (
        "import os, sys\n"
        "from chainrule.utils.files import write_whole\n"
        "os.write(1, b'before ')\n"
        "write_whole(sys.argv[1], b'content')\n"
        "os.write(1, b' after')\n"
    )
    run = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout == (
        b"before content after"
    )
    for mode, already in (("wb", b""), ("ab", b"earlier ")):
        with open(tmp_path / "out", "wb") as file:
            file.write(already)
        with open(tmp_path / "out", mode) as file:
            subprocess.run(run, stdout=file, check=True)
        assert (tmp_path / "out").read_bytes() == already + b"before content after"
        assert {"out"} <= set(os.listdir(tmp_path)) <= {"out", "link"}


def test_a_link_that_is_planted_beside_is_not_followed(tmp_path, monkeypatch):
    target, victim = tmp_path / "model", tmp_path / "victim"
    victim.write_bytes(b"precious")
    part = tmp_path / f".model.{os.getpid()}.{threading.get_ident()}.part"
    part.symlink_to(victim)
    with monkeypatch.context() as patched:  # as if it came back at once
        patched.setattr(Path, "unlink", lambda path, missing_ok: None)
        with pytest.raises(FileExistsError):
            write_whole(target, b"content")
    write_whole(target, b"content")
    assert victim.read_bytes() == b"precious"
    assert target.read_bytes() == b"content"
    assert set(os.listdir(tmp_path)) == {"model", "victim"}


def test_what_is_special(tmp_path):
    file, fifo = tmp_path / "file", tmp_path / "pipe"
    file.touch()
    os.mkfifo(fifo)
    dangling, to_file = tmp_path / "dangling", tmp_path / "to file"
    dangling.symlink_to(tmp_path / "nowhere")
    to_file.symlink_to("file")
    for path in (file, dangling, to_file, tmp_path, tmp_path / "new", str(file), "1"):
        assert not is_special(path)
        assert open_special(path) is None
    for path in (fifo, os.devnull, str(fifo)):
        assert is_special(path)
    write_whole(dangling, b"content")
    assert (tmp_path / "nowhere").read_bytes() == b"content"
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, b"content")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(loop, b"content")


@pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="for root, who may chown")
def test_the_owner_is_kept(tmp_path):
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 12345, 12346)
    write_whole(path, b"content")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


@pytest.mark.parametrize("name", ["none/new", "folder", "new/"])
@pytest.mark.parametrize(
    "write", [save_model, save_onnx, save_state_dict, save_page, save_checkpoint, model_checkpoint]
)
def test_an_error_names_the_path_that_was_asked_for(tmp_path, write, name):
    if write is model_checkpoint and name == "none/new":
        pytest.skip("it makes missing folders")
    (tmp_path / "folder").mkdir()
    path = os.path.join(tmp_path, name)
    with pytest.raises((IsADirectoryError, FileNotFoundError)) as caught:
        write(path)
    assert caught.value.filename == path
    assert os.listdir(tmp_path) == ["folder"]


def test_to_check_a_place_changes_nothing(tmp_path):
    old = tmp_path / "old"
    old.write_bytes(b"old")
    old.chmod(0o600)
    before = old.stat()
    os.mkfifo(tmp_path / "pipe")
    names = sorted(os.listdir(tmp_path))
    for name in ("old", "new", "pipe"):
        check_writable(tmp_path / name)
    for name, error in (("", IsADirectoryError), ("none/new", FileNotFoundError)):
        with pytest.raises(error) as caught:
            check_writable(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == names
    assert old.stat() == before

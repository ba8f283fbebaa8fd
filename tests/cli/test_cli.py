"""The command line, as a user types it."""

import json
import re
import subprocess
import sys
import webbrowser

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli
from chainrule.engine import ahead
from chainrule.kernels import cache
from chainrule.kernels.jit import JIT_DISABLED

pytestmark = pytest.mark.once

QUICK = ["--epochs", "3", "--hidden", "16"]


def run(*arguments):
    return cli.main(["train", *arguments])


@pytest.fixture
def table(tmp_path):
    """A .csv file with two well separated classes, and a column that is always the same."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    columns = rng.normal(size=(200, 2)) + 6 * labels[:, None], np.full(200, 1000.0), labels
    path = tmp_path / "points.csv"
    np.savetxt(path, np.column_stack(columns), "%.6g", ",", header="a,b,c,label", comments="")
    return path


@pytest.mark.skipif(JIT_DISABLED, reason="takes minutes")
def test_main_job(capsys):
    assert run() == 0
    shown = capsys.readouterr().out
    said, _, _ = shown.partition("layer ")
    assert " ".join(said.split()) == (
        "Data: 1,797 handwritten digits of 8 by 8 pixels, which come with chainrule. "
        "Split: 1,258 rows to train on, 180 for validation, 359 for the test; drawn at random, "
        "each class in proportion (--seed). "
        "Loss: CrossEntropyLoss(label_smoothing=0.1): 10% of each target is spread over all "
        "classes, so that the loss is 0.50 at the least. "
        "Optimizer: AdamW(lr=0.005, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.1, "
        "amsgrad=False), 32 rows a step. "
        "Stopping: after 60 epochs."
    )
    assert "6,570 parameters, float32" in shown
    assert "epoch 60/60" in shown
    assert re.search(r"validation [\d.]+, accuracy \d", shown)
    assert "Confusion: rows are labels" in shown
    assert re.search(r"Time: [\d.]+ us a step", shown)
    accuracy = re.search(r"Test accuracy: ([\d.]+)% of 359 rows\.", shown)
    assert float(accuracy[1]) >= 97
    assert re.search(
        r"Gradient check: passed, \d+ entries, worst relative error \d\.\de-\d\d", shown
    )


def test_the_smallest_loss_is_as_it_says():
    certain = np.log([[0.91, *[0.01] * 9]])
    loss, _ = cr.CrossEntropyLoss(label_smoothing=0.1)(certain, [0])
    assert f"{loss:.2f}" == "0.50"


def test_a_training_on_a_table_says_what_it_does(capsys, table):
    options = ["--target", "a", "--epochs", "3", "--batch-size", "500", "--seed", "5"]
    assert run(str(table), *options) == 0
    said = " ".join(capsys.readouterr().out.partition("layer ")[0].split())
    assert f"Data: 200 rows of {table}, to predict 'a' (regression)." in said.replace("- ", "-")
    assert (
        "Split: 140 rows to train on, 20 for validation, 40 for the test; drawn at random "
        "(--seed). Loss: MSELoss(). Optimizer: AdamW(lr=0.002, "
    ) in said
    assert said.endswith(
        "140 rows a step. Stopping: after 3 epochs at the latest, or 15 epochs without a better "
        "validation loss; the best epoch's parameters are kept."
    )


def test_confusion_table_counts_the_test_rows(capsys, table):
    assert run("--data", str(table), *QUICK) == 0
    cells = [
        int(count)
        for line in capsys.readouterr().out.splitlines()
        if re.match(r"[│|] *\d+ [│|┃]", line)
        for count in re.findall(r"\d+", line)[1:]
    ]
    assert sum(cells) == 40


def test_table_of_any_scale_is_learned(capsys, table):
    assert run("--data", str(table), "--hidden", "", "--batch-size", "8") == 0
    assert "Test accuracy: 100.00% of 40 rows." in capsys.readouterr().out


def test_labels_may_be_any_whole_numbers(capsys, table):
    table.write_text(table.read_text().replace(",1\n", ",-1000000000\n"))
    assert run("--data", str(table), *QUICK) == 0
    assert "-1000000000" in capsys.readouterr().out


def test_same_seed_same_result_on_both_backends(capsys):
    results = []
    for options in (["--seed", "1"], ["--seed", "1"], ["--seed", "1", "--backend", "numpy"]):
        run(*QUICK, *options)
        results.append(re.search(r"Test accuracy: .*", capsys.readouterr().out)[0])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], r"epochs must be at least 1, not 0\."),
        (["--lr", "-1"], r"AdamW's lr must be 0 or more, not -1\.0\."),
        (["--batch-size", "0"], r"batch_size must be at least 1, not 0\."),
        (["--seed", "-1"], r"seed must be at least 0, not -1\."),
        (["--data", "nowhere.csv"], r"nowhere\.csv: No such file or directory$"),
        (["--data", "digits.txt"], r"must end in \.npz or \.csv, but it is 'digits\.txt'\."),
        (["--lr", "1e30", "--epochs", "1"], r"The loss is not finite in epoch 1, step \d+;"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    last = error.splitlines()[-1]
    assert re.match("chainrule: .*" + message, last)
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hidden", "64,none"], "argument --hidden: expected sizes such as 64,32"),
        (["--hidden", "0"], "expected sizes such as 64,32, not '0'"),
        (["--activation", "step"], "argument --activation: invalid choice: 'step'"),
        (["--lr", "fast"], "argument --lr: invalid float value: 'fast'"),
    ],
)
def test_what_cannot_be_parsed(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2,0\n3,4,1\n" * 2, r"The data has only 4 rows; a test needs at least 10\."),
        ("1,2,0\n" * 20, r"All labels are 0; a classifier needs two classes or more\."),
        (
            "1,two,0\n" * 20,
            r"line 1, column 2: expected a number, but it is 'two'\. With --data, all cells are "
            r"numbers; chainrule train \S+wrong\.csv --target COLUMN reads any table\.",
        ),
        ("", r"must have at least one row of numbers"),
        (
            "".join(f"1,2,{row}\n" for row in range(20)),
            r"There are 20 different labels in 20 rows; classes are expected to have several",
        ),
    ],
)
def test_wrong_tables(capsys, tmp_path, content, message):
    path = tmp_path / "wrong.csv"
    path.write_text(content)
    assert run("--data", str(path)) == 2
    assert re.search(message, capsys.readouterr().err)


def test_info(capsys):
    assert cli.main(["info"]) == 0
    shown = capsys.readouterr().out
    for row in ("numba", "numpy", "CPU", "features", "threads", "threading layer", "cache folder"):
        assert re.search(rf"^ *{row} ", shown, re.MULTILINE), row
    assert cr.__version__ in shown


def test_info_as_json(capsys):
    assert cli.main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chainrule"] == cr.__version__


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
@pytest.mark.parametrize("everything", [False, True])
def test_compile(capsys, monkeypatch, everything):
    asked = []

    def compile_ahead(dtype, **options):
        asked.append((dtype.name, options))
        return 3

    monkeypatch.setattr(ahead, "compile_ahead", compile_ahead)
    flags = ["--all"] if everything else []
    assert cli.main(["compile", *flags]) == 0
    dtypes = ["float32", "float64"] if everything else ["float32"]
    assert asked == [(dtype, {"everything": everything}) for dtype in dtypes]
    shown = capsys.readouterr().out
    assert re.match(
        rf"{3 * len(dtypes)} functions compiled, in 0\.. s\.\n.* holds \d+, .* MB\.\n", shown
    )
    assert cli.main(["compile", "--json", *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert cli.main(["info", "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    assert report["compiled"] == 3 * len(dtypes)
    assert report["cache folder"] == there["cache folder"]
    megabytes = f"{report['compiled bytes'] / 1e6:.1f} MB"
    assert there["compiled functions"] == f"{report['compiled functions']}, {megabytes}"


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_compile_where_nothing_can_be_kept(capsys, monkeypatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: None)
    assert cli.main(["compile"]) == 2
    assert "no folder for compiled code" in capsys.readouterr().err


@pytest.mark.skipif(not JIT_DISABLED, reason="what is compiled can be kept")
def test_compile_without_compilation(capsys):
    assert cli.main(["compile"]) == 2
    assert "NUMBA_DISABLE_JIT" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "predict", "explain", "compile", "info"])
def test_help_has_an_example(capsys, command):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert f"examples:\n  chainrule {command}" in shown
    assert "--json" in shown
    assert "None" not in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize("command", [["train"], ["predict", "none.safetensors", "none.csv"]])
def test_an_unwritable_place_is_refused_first(capsys, tmp_path, command):
    for place, message in (("none/a.csv", "There is no folder for"), ("", "is a folder")):
        assert cli.main([*command, "--out", str(tmp_path / place)]) == 2
        assert message in capsys.readouterr().err


def test_files_that_are_no_tables(capsys, tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "colons.csv").write_text("a:b\n" + "1:2\n" * 20)
    (tmp_path / "binary.csv").write_bytes(b"PK\x03\x04\0\0\xff\xfe,b\n1,2\n")
    for name, message in (
        ("empty.csv", "must have a header"),
        ("binary.csv", "expected UTF-8 text"),
        ("colons.csv", "Cells are separated by commas, semicolons, tabs, vertical bars or blanks."),
        ("", "Is a directory"),
        ("none.csv", "No such file"),
    ):
        assert run(str(tmp_path / name), "--target", "b") == 2
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
    assert run("--target", "b") == 2
    assert "are for a table" in capsys.readouterr().err


def test_python_m():
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "chainrule", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"chainrule {cr.__version__}\n"


def test_no_command_shows_the_usage(capsys):
    with pytest.raises(SystemExit):
        cli.main([])
    assert "usage: chainrule" in capsys.readouterr().err


def test_explain(capsys, tmp_path):
    page = tmp_path / "chain.html"
    assert cli.main(["explain", "--epochs", "1", "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    for part in ("The chain", "cancels:", "the sum over", "finite differences", "update / weight"):
        assert part in printed
    assert max(map(len, printed.split("The chain", 1)[1].splitlines())) <= 80 + len(str(page))
    assert "<title>" in page.read_text(encoding="utf-8")


def test_explain_alone_makes_and_names_a_page(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(webbrowser, "open", shown.append)
    page = tmp_path / "chain.html"
    for _ in range(2):  # the second replaces the first
        assert cli.main(["explain", "--epochs", "1"]) == 0
        assert f"A page to explore: {page}" in capsys.readouterr().out
    assert '"rows":64' in page.read_text(encoding="utf-8")
    page.write_text("<title>My own</title>")
    assert cli.main(["explain", "--epochs", "1"]) == 2
    assert "is no page of chainrule explain; name another file" in capsys.readouterr().err
    assert page.read_text() == "<title>My own</title>"
    assert shown == []
    model = str(tmp_path / "model.safetensors")
    cr.Sequential(cr.Linear(64, 10), seed=0).save(model)
    assert cli.main(["explain", model, "--rows", "2"]) == 0
    assert cli.main(["explain", model, "--html", "other.html", "--open", "--rows", "2"]) == 0
    assert shown == [(tmp_path / "other.html").as_uri()]
    assert '"rows":2' in (tmp_path / "other.html").read_text(encoding="utf-8")
    page.unlink()
    assert cli.main(["explain", model, "--open"]) == 0
    assert page.exists()


def test_explain_what_is_too_large_to_follow(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = tmp_path / "few.csv"
    few.write_text("1,0\n2,1\n" * 5)
    arguments = ["explain", "--data", str(few), "--epochs", "1", "--hidden", "1100,1100"]
    assert cli.main([*arguments, "--parameter", "b1"]) == 0
    printed = capsys.readouterr().out
    assert "There are too many to follow" in printed
    assert "update / weight" in printed


def test_explain_refuses_before_it_trains(capsys, tmp_path):
    assert cli.main(["explain", "--rows", "999"]) == 2
    assert "only 359 test rows" in capsys.readouterr().err
    assert cli.main(["explain", "--html", str(tmp_path / "none" / "a.html")]) == 2
    assert "There is no folder for" in capsys.readouterr().err


def test_explain_a_saved_network(capsys, tmp_path):
    file = str(tmp_path / "model.safetensors")
    assert cli.main(["train", "--epochs", "1", "--hidden", "8", "--save", file]) == 0
    assert f"Saved: {file}" in capsys.readouterr().out.replace("\n", "")
    arguments = ["explain", file, "--rows", "2"]
    assert cli.main([*arguments, "--parameter", "b2"]) == 0
    printed = capsys.readouterr().out
    assert "2 rows of data" in printed
    assert cli.main([*arguments, "--parameter", "x"]) == 0
    assert cli.main([*arguments, "--parameter", "W9"]) == 2
    assert "There is no parameter 'W9'" in capsys.readouterr().err
    (tmp_path / "model.safetensors").write_bytes(b"no model")
    assert cli.main(arguments) == 2
    assert "no safetensors file" in capsys.readouterr().err


def test_the_time_of_a_step_is_not_that_of_an_epoch_that_compiles(capsys, monkeypatch, table):
    def fit_network(*arguments):
        history = cr.cli.network.fit_network(*arguments)
        history.seconds[:] = [9.0, 1.0]
        return history

    monkeypatch.setattr(cr.cli.train, "fit_network", fit_network)
    assert run("--data", str(table), "--hidden", "4", "--epochs", "2", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seconds_per_step"] == pytest.approx(1.0 / 5)  # 140 rows

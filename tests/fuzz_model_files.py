"""Damage model files and checkpoints in every way, and look at what comes of it.

python tests/fuzz_model_files.py --cases 100000

Each case damages one of a few good files: bytes, length, the header as JSON, the JSON within it,
the tensors; in more than half of the cases with edits, the checksum is made to fit again, so that
what lies behind it is reached. Then the file is loaded, or resumed from. ModelFileError may come,
the ValueError by which ``fit`` refuses another training's checkpoint, or a network; nothing else,
and after an error nothing may have changed. ``--first 7 --cases 1`` repeats case 7 and lets
its error through.
"""

import argparse
import json
import random
import resource
import sys
from collections import Counter
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import chainrule as cr
from chainrule.models.model_file import CHECKSUM, KEY, TRAINING, _checksum

HOSTILE = [
    None, True, False, -1, 0, 1, 2, 7, 1.5, -0.0, 1e308, float("nan"), float("inf"), 2**31, 2**53,
    2**63, 2**64, 10**30, 10**400, "", "x", "F32", "F64", "I8", "BF16", "\ud800", "\0", "a" * 5000,
    [], {}, [[]], [0, 0], [0, 2**63], [2**40, 2**40], [-1, 4], "Linear", "Shared", "float16",
    {"layer": "Linear", "in_features": 10**12, "out_features": 10**12},
    {"layer": "Linear", "in_features": 2**62, "out_features": 8},
    {"layer": "Parallel", "parts": [[{"layer": "ReLU"}]] * 50},
]  # fmt: skip


class Counted(cr.Callback):
    """Has numbers and arrays in its state."""

    def __init__(self):
        self.seen = np.zeros(3)

    def state_dict(self):
        return {"numbers": [1, 2.5, None], "name": "x", "seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"].reshape(3)


class Stop(cr.Callback):
    """As Ctrl-C within an epoch."""

    every = 7

    def on_steps(self, training):
        training.interruption.requested = True


def network(dtype="float32"):
    shared = cr.Shared(cr.Linear(8, 8), cr.Tanh())
    parts = cr.Residual(cr.Linear(8, 8)), cr.Parallel(cr.Linear(8, 4), cr.Linear(8, 4))
    inner = cr.Sequential(cr.Linear(4, 5, name="last"), seed=1)
    layers = cr.Rescale(0.5), shared, parts[0], cr.LeakyReLU(0.1), shared, parts[1], inner
    return cr.Sequential(*layers, seed=0, dtype=dtype)


def best_score(y, output):
    return output.max()


class Training:
    """One that a file is resumed by, as it was before."""

    def __init__(self, optimizer=cr.Adam):
        self.kind, self.net, self.optimizer = optimizer, network(), optimizer()
        self.before = self.state()

    def state(self):
        state = self.optimizer.state(self.net)
        numbers = [self.net.params, state.vectors, state.steps, self.optimizer.hyperparameters()]
        return deepcopy(numbers)

    def fit(self, path, resume=True, more=()):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(40, 8)), rng.integers(0, 5, 40)
        callbacks = [
            Counted(),
            cr.callbacks.EarlyStopping(patience=50),
            cr.schedules.ReduceLROnPlateau(patience=50),
            *more,
        ]
        return cr.fit(
            self.net,
            X,
            y,
            loss=cr.CrossEntropyLoss(),
            optimizer=self.optimizer,
            interrupt="stop",
            epochs=2,
            batch_size=8,
            validation=(X[:8], y[:8]),
            metrics=[best_score],
            callbacks=callbacks,
            progress=False,
            checkpoint=path,
            resume=resume,
        )

    def unchanged(self):
        now = self.state()
        return now[3] == self.before[3] and all(
            np.array_equal(a, b) for a, b in zip(now[:3], self.before[:3], strict=True)
        )


def good_files(folder):
    """Return the files that are damaged: name and content, and how each is resumed from."""
    files = []
    path = folder / "good.safetensors"
    for dtype, metadata in (("float32", {"columns": ["a", {"b": 1.5}]}), ("float64", None)):
        network(dtype).save(path, metadata)
        files.append((path.read_bytes(), None))
    for optimizer in (cr.Adam, cr.SGD):
        Training(optimizer).fit(path, resume=False)
        files.append((path.read_bytes(), optimizer))
    Training().fit(path, resume=False, more=[Stop()])
    files.append((path.read_bytes(), cr.Adam))
    return files


# Files in parts: header as plain values, those in it that are JSON again, and the tensors' bytes


def take_apart(content):
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    inner = header["__metadata__"]
    for key in (KEY, TRAINING):
        if key in inner:
            inner[key] = json.loads(inner[key])
    return header, bytearray(content[8 + length :])


def dumps(value, rng, twice=None):
    """Return JSON; the dict ``twice`` says one of its keys again."""
    if not isinstance(value, dict) or twice is None:
        return json.dumps(value)
    parts = [f"{json.dumps(k)}: {dumps(v, rng, twice)}" for k, v in value.items()]
    if value is twice and parts:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(parts))
    return "{" + ", ".join(parts) + "}"


def put_together(header, data, rng, *, fitting, twice):
    inner = header.get("__metadata__")
    if isinstance(inner, dict):
        for key in (KEY, TRAINING):
            if key in inner and not isinstance(inner[key], str):
                inner[key] = dumps(inner[key], rng, twice)
        if fitting:
            refit(inner, header, data)
    text = dumps(header, rng, twice).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(data)


def refit(inner, header, data):
    """Make the checksum that of the content, if there can be one."""
    inner.pop(CHECKSUM, None)
    try:
        tensors = {
            name: np.frombuffer(data[slice(*about["data_offsets"])], np.uint8)
            for name, about in header.items()
            if name != "__metadata__"
        }
        inner[CHECKSUM] = _checksum(inner, tensors)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        inner[CHECKSUM] = "00000000"


# Ways to damage


def places(value):
    """Return all containers within a value, each with the keys that it has."""
    found, ahead = [], [value]
    while ahead:
        container = ahead.pop()
        for key in list(container) if isinstance(container, dict) else range(len(container)):
            found.append((container, key))
            if isinstance(container[key], dict | list):
                ahead.append(container[key])
    return found


def deep(rng):
    value = []
    for _ in range(rng.choice([20, 50, 110, 130])):
        value = [value] if rng.random() < 0.5 else {"parts": value, "layer": "Residual"}
    return value


def edit(header, rng):
    """Change something in the header; return a dict that shall say a key twice, if any."""
    found = places(header)
    container, key = rng.choice(found)
    if container is header.get("__metadata__") and rng.random() < 0.2:
        container[key] = rng.choice("[{") * rng.choice([500, 5000, 500_000])
        return None
    way = rng.randrange(8)
    if way < 3:
        container[key] = deepcopy(rng.choice(HOSTILE))
    elif way == 3:
        del container[key]
    elif way == 4:
        other, there = rng.choice(found)
        container[key] = deepcopy(other[there])
    elif way == 5:
        number = container[key]
        if isinstance(number, int | float) and not isinstance(number, bool):
            container[key] = number + rng.choice([-1, 1, 4, -4, 2**20, 2**40, 0.5])
        else:
            container[key] = deep(rng)
    elif way == 6 and isinstance(container, dict):
        container[rng.choice(["x", key + "x", "", "training/x", "../x"])] = container.pop(key)
    elif isinstance(container, dict):
        return container
    else:
        container.insert(key, deepcopy(container[key]))
    return None


def lie_about_tensors(header, rng):
    """Let two tensors overlap, leave a hole, or have more in the header than there is."""
    names = [name for name in header if name != "__metadata__"]
    one, other = header[rng.choice(names)], header[rng.choice(names)]
    way = rng.randrange(4)
    if way == 0:
        one["data_offsets"] = list(other["data_offsets"])
    elif way == 1:
        one["data_offsets"][rng.randrange(2)] += rng.choice([-4, 4, 8, 2**33, 2**62])
    elif way == 2:
        one["shape"] = [rng.choice([0, 2**20, 2**32, 2**63 - 1]) for _ in range(rng.randrange(5))]
    else:
        one["dtype"] = rng.choice(["F16", "BF16", "F64", "I64", "BOOL", "F8_E4M3", "U8", "C64"])


def change_values(header, data, rng):
    names = [name for name in header if name != "__metadata__"]
    first, last = header[rng.choice(names)]["data_offsets"]
    for _ in range(rng.choice([1, 1, 4, 30])):
        if last - first >= 8:
            at = first + 4 * rng.randrange((last - first) // 4 - 1)
            values = [np.nan, np.inf, 0, -1, 1e300, 5e-324, rng.random()]
            data[at : at + 8] = np.float64(rng.choice(values)).tobytes()


def damage_bytes(content, rng):
    content = bytearray(content)
    length = int.from_bytes(content[:8], "little")
    way = rng.randrange(6)
    if way == 0:
        for _ in range(rng.choice([1, 1, 2, 8, 64])):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif way == 1:
        for _ in range(rng.choice([1, 1, 2, 8])):
            content[8 + rng.randrange(length)] = rng.randrange(256)
    elif way == 2:
        del content[rng.randrange(len(content)) :]
    elif way == 3:
        at = rng.randrange(len(content))
        content[at:at] = rng.randbytes(rng.choice([1, 8, 1000]))
    elif way == 4:
        number = rng.choice(
            [0, 1, 2**63, 2**64 - 1, 100_000_000, length + rng.randrange(-9, 9), 2**40]
        )
        content[:8] = number.to_bytes(8, "little")
    else:
        first, last = sorted(rng.randrange(len(content)) for _ in range(2))
        del content[first : min(last, first + 500)]
    return bytes(content)


def damaged(files, rng):
    """Return a way's name, the file's content, and the optimizer to resume with, if any."""
    content, optimizer = rng.choice(files)
    if rng.random() < 0.3:
        return "bytes", damage_bytes(content, rng), optimizer
    header, data = take_apart(content)
    fitting, twice, way = rng.random() < 0.6, None, "header"
    kind = rng.random()
    if kind < 0.75:
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            if header:
                twice = edit(header, rng) or twice
    elif kind < 0.87:
        way = "offsets"
        lie_about_tensors(header, rng)
    else:
        way = "values"
        change_values(header, data, rng)
    content = put_together(header, data, rng, fitting=fitting, twice=twice)
    return way + (", checksum fits" if fitting else ""), content, optimizer


def outcome(path, optimizer, training):
    """Load the file, or resume from it, and say what came of it."""
    try:
        net = cr.load(path)
        cr.load_metadata(path)
    except cr.ModelFileError:
        loaded = False
    else:
        loaded = True
        assert np.isfinite(net.params).all()
    if optimizer is None:
        return "loaded" if loaded else "refused"
    try:
        history = training.fit(path)
    except cr.ModelFileError:
        found = "refused" if not loaded else "refused, though it is a model"
    except cr.NonFiniteError:  # from parameters that are too large
        return "resumed, until it was not finite"
    except ValueError as error:
        found = "another training"
        if found not in str(error) and "epochs is" not in str(error):
            raise
    else:
        assert loaded
        assert len(history.batch_loss) == 5 * len(history.loss)
        return "resumed"
    assert training.unchanged(), "a resume that failed has changed something"
    return found


def run(cases, seed=0, first=0):
    """Return how often which outcome came, and what should not have come."""
    counts, failures = Counter(), []
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = good_files(folder)
        path = folder / "damaged.safetensors"
        trainings = {optimizer: Training(optimizer) for optimizer in (cr.Adam, cr.SGD)}
        for case in range(first, first + cases):
            rng = random.Random(f"{seed} {case}")
            way, content, optimizer = damaged(files, rng)
            path.unlink(missing_ok=True)  # much quicker than to write over it
            path.write_bytes(content)
            try:
                what = outcome(path, optimizer, trainings.get(optimizer))
            except Exception as error:
                what = "FAILED"
                failures.append(f"case {case}, {way}: {error!r}"[:500])
                if cases == 1:
                    raise
            if optimizer is not None and what.startswith(("resumed", "FAILED")):
                trainings[optimizer] = Training(optimizer)
            counts[way, what] += 1
    return counts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts, failures = run(options.cases, options.seed, options.first)
    for (way, what), count in sorted(counts.items()):
        print(f"{count:8,}  {way}: {what}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{sum(counts.values()):8,}  cases; memory grew from {before >> 10} to {peak >> 10} MB")
    print(*failures, sep="\n", end="")
    return len(failures) > 0


if __name__ == "__main__":
    sys.exit(main())

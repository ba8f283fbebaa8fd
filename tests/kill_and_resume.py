"""Kill trainings at random moments, let them go on, and compare with one that was left alone.

python tests/kill_and_resume.py --moments 50 --threads 2

Each training is killed again and again until it is finished; then parameters, optimizer state and
history must be those of the training that was left alone, to the bit. It writes a checkpoint each
third step, of 12 MB where the width is 1024, and every other kill waits for a write. Needs
``os.fork``.
"""

import argparse
import os
import random
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import chainrule as cr

LISTS = "loss", "batch_loss", "validation_loss", "lr"


class Pause(cr.Callback):
    """Ends the compiled calls, so that a checkpoint can be written."""

    every = 3


def train(folder, width, threads, checkpoint):
    """Train, or go on, and write what came out."""
    rng = np.random.default_rng(0)
    half = width // 2
    X = rng.normal(size=(1000, half)).astype(np.float32)
    y = np.sin(X[:, :8])
    layers = (
        cr.Linear(half, width),
        cr.Tanh(),
        cr.Linear(width, half),
        cr.Tanh(),
        cr.Linear(half, 8),
    )
    net, adam = cr.Sequential(*layers, seed=0), cr.Adam()
    with cr.threads(threads):
        history = cr.fit(
            net,
            X,
            y,
            loss=cr.MSELoss(),
            optimizer=adam,
            epochs=3,
            batch_size=96,
            schedule=cr.schedules.StepLR(1e-3, steps=5),
            validation=(X[:100], y[:100]),
            callbacks=[Pause()],
            progress=False,
            checkpoint=checkpoint,
            resume=checkpoint is not None,
        )
    state = adam.state(net)
    np.savez(
        folder / "result.npz",
        params=net.params,
        state=state.vectors,
        step=state.step,
        **{name: getattr(history, name) for name in LISTS},
    )


def start(*arguments):
    """Train in a process that begins where this one is: with everything loaded."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        train(*arguments)
        status = 0
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def end(process):
    """Wait for the end; return whether the process was killed."""
    _, status = os.waitpid(process, 0)
    if status not in (0, signal.SIGKILL):
        raise SystemExit(f"A training ended with status {status}.")
    return status == signal.SIGKILL


def wait_for_part(folder):
    """Return when a file is being written, or none is for a while."""
    latest = time.perf_counter() + 0.3
    while time.perf_counter() < latest and not any(folder.glob(".*.part")):
        time.sleep(1e-4)


def take_result(folder):
    """Return what came out, and remove it."""
    path = folder / "result.npz"
    with np.load(path) as file:
        result = dict(file)
    path.unlink()
    return result


def run(moments, width, threads, seed):
    """Return how many kills hit a write, and how many trainings were compared."""
    rng = random.Random(seed)
    kills = in_writes = compared = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        place = folder / "kept"
        place.mkdir()
        path = place / "run.safetensors"
        checkpoint = cr.Checkpoint(path, minutes=1e-9)  # whenever it pauses
        train(folder, width, 1, None)  # loads what is compiled; its threads would not come along
        end(start(folder, width, threads, None))
        expected = take_result(folder)
        started = time.perf_counter()
        end(start(folder, width, threads, checkpoint))
        seconds = time.perf_counter() - started
        path.unlink()
        while kills < moments or path.exists():
            process = start(folder, width, threads, checkpoint)
            if kills < moments:
                time.sleep(rng.uniform(0, seconds / 2))
                if kills % 2:
                    wait_for_part(place)
                    time.sleep(rng.uniform(0, 0.01))
                os.kill(process, signal.SIGKILL)
            if end(process):
                kills += 1
                parts = [each.name for each in place.iterdir() if each != path]
                in_writes += any(f".{process}." in part for part in parts)
                if len(parts) > 1:  # each write removes what was left before it
                    raise SystemExit(f"Parts are left: {parts}.")
                continue
            result = take_result(folder)
            wrong = [key for key in expected if not np.array_equal(result[key], expected[key])]
            if wrong:
                raise SystemExit(f"After {kills} kills, {wrong} are not as if never stopped.")
            compared += 1
            path.unlink()
            if any(place.iterdir()):
                raise SystemExit("Parts are left at the end.")
    return in_writes, compared


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    in_writes, compared = run(options.moments, options.width, options.threads, options.seed)
    print(
        f"{options.moments} kills, {in_writes} of them during a write; {compared} trainings with "
        f"{options.threads} thread(s) compared, all the same to the bit."
    )


if __name__ == "__main__":
    main()

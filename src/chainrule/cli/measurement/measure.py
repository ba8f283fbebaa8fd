"""Time the implementations of one workload in turn, in a new process; the shortest time counts."""

from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from signal import SIG_IGN, SIGINT, signal
from time import perf_counter, sleep

import numpy as np

from chainrule.cli.measurement.implementation import Implementation
from chainrule.cli.measurement.threads import limit_threads, pin_to_cores
from chainrule.cli.measurement.workloads import WORKLOADS, Workload

CHAINRULE = "chainrule.cli.measurement.chainrule_implementation:Chainrule"

# Relative, in units of the dtype's rounding, which grows over the steps that are compared.
SAME = 1e4
COMPARED_STEPS = 300
# Idle threads spin before they sleep, OpenBLAS's for 0.11 s, and would slow down the next one.
PAUSE_SECONDS = 0.15
# After LONG_SECONDS, a workload is measured no more than FEW_ROUNDS times.
LONG_SECONDS, FEW_ROUNDS = 60, 3


@dataclass(frozen=True)
class Measured:
    """The times of a workload."""

    workload: str
    threads: int
    microseconds: dict[str, float]  # of a step, by the implementation's name
    refusals: dict[str, str]  # why an implementation cannot run it


def measure(workload: str, implementations: list[str], threads: int, rounds: int) -> Measured:
    """Measure in a new process, in which other workloads have loaded and compiled nothing.

    The libraries read the limit of threads when it starts. Implementations are given as
    ``"module:class"``; their results are compared with those of the first one.
    """
    limit_threads(threads)
    # Ctrl-C reaches both processes: this one ends the other.
    with get_context("spawn").Pool(1, signal, (SIGINT, SIG_IGN)) as pool:
        return pool.apply(measure_here, (workload, implementations, threads, rounds))


def measure_here(name: str, implementations: list[str], threads: int, rounds: int) -> Measured:
    """Measure in this process."""
    pin_to_cores(threads)
    workload = WORKLOADS[name]
    kinds = [load(implementation) for implementation in implementations]
    refusals = {kind.name: kind.refusal(workload) for kind in kinds if kind.refusal(workload)}
    started = perf_counter()
    working = []
    for kind in kinds:
        if kind.name not in refusals:
            kind.use_threads(threads)
            working.append(kind(workload))
    # This also compiles.
    assert_same(workload, {one.name: one.run(seed=0) for one in working})

    steps = workload.epochs * workload.steps
    least = {implementation.name: float("inf") for implementation in working}
    for done in range(rounds):
        if done >= FEW_ROUNDS and perf_counter() - started > LONG_SECONDS:
            break
        for implementation in working:
            sleep(PAUSE_SECONDS if threads > 1 else 0)
            before = perf_counter()
            implementation.run(seed=done)
            microseconds = 1e6 * (perf_counter() - before) / steps
            least[implementation.name] = min(least[implementation.name], microseconds)
    return Measured(name, threads, least, refusals)


def load(implementation: str) -> type[Implementation]:
    """Return the class of an implementation."""
    module, name = implementation.split(":")
    kind: type[Implementation] = getattr(import_module(module), name)
    return kind


def assert_same(workload: Workload, results: dict[str, list[float]]) -> None:
    """Raise ValueError if an implementation's results differ from those of the first one."""
    compared = max(2, COMPARED_STEPS // workload.steps)
    tolerance = SAME * float(np.finfo(workload.dtype).eps)
    (first, expected), *others = results.items()
    for name, result in others:
        difference = np.abs(np.divide(result, expected) - 1)[:compared].max()
        if not difference <= tolerance:
            raise ValueError(
                f"{name} does not do the same computation as {first}: what it computed differs by "
                f"{difference:.1e}, more than {tolerance:.1e}."
            )

"""Let peers do one workload in turn, in a process of its own, and take the least time of each."""

from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from signal import SIG_IGN, SIGINT, signal
from time import perf_counter, sleep

import numpy as np

from chainrule.cli.measurement.peer import Peer
from chainrule.cli.measurement.threads import limit_threads, pin_to_cores
from chainrule.cli.measurement.workloads import WORKLOADS, Workload

CHAINRULE = "chainrule.cli.measurement.chainrule_peer:Chainrule"

# Relative, in units of the dtype's rounding, which grows over the steps that are compared.
SAME = 1e4
COMPARED_STEPS = 300
# Threads spin before they sleep, OpenBLAS's for 0.11 s: nobody shall suffer from the peer before.
PAUSE_SECONDS = 0.15
# When a workload has taken so long, it need not be measured more often than that.
LONG_SECONDS, FEW_ROUNDS = 60, 3


@dataclass(frozen=True)
class Measured:
    """What came out for a workload."""

    workload: str
    threads: int
    microseconds: dict[str, float]  # a step, by the name of the peer
    refusals: dict[str, str]  # why a peer does not do it


def measure(workload: str, peers: list[str], threads: int, rounds: int) -> Measured:
    """Measure in a new process, which reads how many threads there may be when it begins.

    Nothing is left of what other workloads loaded, compiled or allocated. Peers are given as
    ``"module:class"``; they are compared with the first one.
    """
    limit_threads(threads)
    # Ctrl-C reaches both processes: this one ends the other.
    with get_context("spawn").Pool(1, signal, (SIGINT, SIG_IGN)) as pool:
        return pool.apply(measure_here, (workload, peers, threads, rounds))


def measure_here(name: str, peers: list[str], threads: int, rounds: int) -> Measured:
    """Measure in this process."""
    pin_to_cores(threads)
    workload = WORKLOADS[name]
    kinds = [load(peer) for peer in peers]
    refusals = {kind.name: kind.refusal(workload) for kind in kinds if kind.refusal(workload)}
    started = perf_counter()
    working = []
    for kind in kinds:
        if kind.name not in refusals:
            kind.use_threads(threads)
            working.append(kind(workload))
    # This also compiles.
    assert_same(workload, {peer.name: peer.run(seed=0) for peer in working})

    steps = workload.epochs * workload.steps
    least = {peer.name: float("inf") for peer in working}
    for done in range(rounds):
        if done >= FEW_ROUNDS and perf_counter() - started > LONG_SECONDS:
            break
        for peer in working:
            sleep(PAUSE_SECONDS if threads > 1 else 0)
            before = perf_counter()
            peer.run(seed=done)
            microseconds = 1e6 * (perf_counter() - before) / steps
            least[peer.name] = min(least[peer.name], microseconds)
    return Measured(name, threads, least, refusals)


def load(peer: str) -> type[Peer]:
    """Return a peer's class, by its module and its name."""
    module, name = peer.split(":")
    kind: type[Peer] = getattr(import_module(module), name)
    return kind


def assert_same(workload: Workload, results: dict[str, list[float]]) -> None:
    """Raise ValueError if somebody does not compute what the first one computes."""
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

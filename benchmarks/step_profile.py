"""Where the time of a training step goes: each call of its plan, beside what bounds the products.

``python -m benchmarks.step_profile --network digits`` runs steps as the interpreter does, in one
thread, and reads the clock around each call. Rounds of it, of whole steps without the clock, and of
multiply-adds in registers take turns, since a core's frequency and other programs change all the
time; of each, the least time counts. Pin it to one core: ``taskset -c 1 python -m ...``.
"""

import argparse
from time import perf_counter

import numba
import numpy as np

from benchmarks.products import measure_peak
from benchmarks.steps import WHOLE, Engine
from chainrule.cli.measurement.workloads import WORKLOADS
from chainrule.kernels import context as word
from chainrule.kernels.clock import clock
from chainrule.kernels.context import Flag, Section
from chainrule.kernels.jit import FLAGS
from chainrule.kernels.native import call

NETWORKS = [name for name, w in WORKLOADS.items() if w.updates and not w.from_python]
SECTIONS = (Section.GATHER, Section.FORWARD, Section.LOSS, Section.LOSS_SUM, Section.BACKWARD)
FLOPS = 3e10  # in all
FLOPS_OF_A_ROUND = 3e8  # some milliseconds, less than a time slice beside other programs


@numba.njit(**FLAGS)
def add_times(program, update, chosen, steps, batch, context, numbers, total):
    """Do steps, call by call; add the nanoseconds of each call to a total, and of none at all."""
    for step in range(steps):
        context[word.ORDER_ROW] = step * batch
        context[word.STEP] += 1
        numbers[word.LOSS] = 0.0
        for k in range(chosen.size + update.shape[0]):
            started = clock()
            if k < chosen.size:
                call(program, chosen[k], context)
            else:
                call(update, k - chosen.size, context)
            total[k] += clock() - started
        started = clock()
        total[-1] += clock() - started


class Profile(Engine):
    """The calls of a workload's step, and their least times in microseconds."""

    def setup(self, workload: str, threads: int = 1) -> None:
        super().setup(workload, threads)
        plan, update = self.machine.plan, self.machine._update[0]
        ranges = [range(*plan.sections[section : section + 2]) for section in SECTIONS]
        rows = [i for r in ranges for i in r if not plan.program[i].flags & Flag.FOR_INPUT]
        self.calls = [plan.program[i] for i in rows] + list(update.program)
        self.rows, self.batch = np.array(rows), plan.batch

    def measure(self, workload: str) -> None:
        """Measure them, and whole steps, and the core's peak."""
        self.setup(workload)
        machine, chosen, batch = self.machine, WORKLOADS[workload], self.batch
        table, update = machine._binding.table, machine._update[1].table
        least = np.full(len(self.calls) + 1, np.inf)
        steps = max(1, min(self.order.size // batch, int(FLOPS_OF_A_ROUND / chosen.flops)))
        rounds = np.array_split(self.order, self.order.size // (batch * steps))
        self.peak, self.step = 0.0, np.inf
        for i in range(max(8, int(FLOPS / chosen.flops / steps))):
            self.order = rounds[i % len(rounds)][: steps * batch]
            self.peak = max(self.peak, measure_peak(np.dtype(machine.dtype).type, tries=1))
            started = perf_counter()
            self.run(WHOLE)
            self.step = min(self.step, (perf_counter() - started) / steps * 1e6)
            total = np.zeros(least.size, np.int64)
            add_times(
                table, update, self.rows, steps, batch, machine.contexts[0],
                machine.workspace.numbers[0], total,
            )  # fmt: skip
            least = np.minimum(least, total / steps)
        self.times = np.maximum(least[:-1] - least[-1], 0) / 1e3

    def multiply_adds(self) -> list[int]:
        """Return how many multiply-adds each call takes; only products count."""
        left: dict[object, list[int]] = {}  # by function, in the order of its calls
        for step in self.machine.plan.steps:
            operation = step.operation
            if operation.multiply_adds is None:
                continue
            count = self.batch * operation.multiply_adds(step)
            left.setdefault(operation.forward.code, []).append(count)
            for function in (*operation.backward_of("x"), operation.gradients["weight"]):
                left.setdefault(function.code, []).insert(0, count)
        codes = [call.function.code for call in self.calls]
        return [left[code].pop(0) if left.get(code) else 0 for code in codes]

    def print(self, workload: str) -> None:
        """Print a table of the calls."""
        bounds = [2e-3 * n / self.peak for n in self.multiply_adds()]
        print(
            f"{workload}: {self.step:.2f} us a step; multiply-adds at {self.peak:.0f} GFLOP/s ",
            end="",
        )
        print(f"would take {sum(bounds):.2f} us, {sum(bounds) / self.step:.0%}.\n")
        print("| call | us | of the step | at the peak | of the peak |")
        print("|---|---:|---:|---:|---:|")
        rest = "interpreter, caches"
        names = [c.function.code.__name__ for c in self.calls] + [rest]
        times = [*self.times, self.step - sum(self.times)]
        for name, time, bound in zip(names, times, [*bounds, 0], strict=True):
            share = f"{bound:.2f} | {bound / time:.0%}" if bound else "|"
            print(f"| {name} | {time:.2f} | {time / self.step:.0%} | {share} |")
        print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=NETWORKS, nargs="+", default=["tiny", "digits"])
    for name in parser.parse_args().network:
        profile = Profile()
        profile.measure(name)
        profile.print(name)


if __name__ == "__main__":
    main()

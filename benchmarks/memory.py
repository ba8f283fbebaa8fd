"""How much memory a training takes."""

import tracemalloc
from dataclasses import replace

import chainrule as cr
from benchmarks.threads import THREADS
from chainrule.cli.measurement.workloads import WORKLOADS, Workload


def fit(workload: Workload, network: cr.Sequential, X, y) -> None:
    cr.fit(
        network,
        X,
        y,
        loss=workload.loss,
        optimizer=cr.Adam(),
        epochs=1,
        batch_size=workload.batch,
        progress=False,
    )


def fraction_of_allowance(workload: Workload) -> float:
    """Return the peak of what is allocated for the data, the network and a fit, as a share.

    All of it is the data, three times the parameters with the optimizer's state, and the arena.
    Compiled code does not count.
    """
    small = replace(workload, steps=1)
    fit(small, small.network(), *small.data())  # compiles or loads

    X, y = workload.data()
    tracemalloc.start()
    try:
        network = workload.network()
        fit(workload, network, X, y)
        peak = X.nbytes + y.nbytes + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    plan = network.make_plan(
        X.shape[1:],
        workload.batch,
        loss=workload.loss,
        steps=workload.steps,
        threads=cr.get_num_threads(),
    )
    vectors = 1 + cr.Adam().state_vectors
    own = 3 * vectors * network.params.nbytes + plan.arena_bytes
    return peak / (X.nbytes + y.nbytes + own)


class Memory:
    """Of the whole process, interpreter and compiled code included; and of the fit alone."""

    params = (THREADS,)
    param_names = ("threads",)

    def setup(self, threads):
        cr.set_num_threads(threads)
        self.workload = WORKLOADS["mnist"]
        self.arguments = self.workload, self.workload.network(), *self.workload.data()

    def peakmem_fit_mnist(self, threads):
        fit(*self.arguments)

    def track_fraction_of_allowance(self, threads):
        return fraction_of_allowance(self.workload)

    track_fraction_of_allowance.unit = "of the allowance"

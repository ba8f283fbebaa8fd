"""A training step and its parts, as the compiled engine does them.

Each call does a hundred steps, or fewer where they are long, but always as many for a workload.
"""

import numpy as np

import chainrule as cr
from benchmarks.threads import THREADS
from chainrule.cli.measurement.workloads import MEDIUM, WORKLOADS
from chainrule.engine.records import make_data
from chainrule.engine.update import UpdateOptions
from chainrule.kernels.context import Phase

FLOPS = 2e9  # a call, at most, unless one step has more
WHOLE = Phase.FORWARD | Phase.BACKWARD | Phase.UPDATE


class Engine:
    param_names = ("workload", "threads")
    options = UpdateOptions()

    def setup(self, workload, threads):
        cr.set_num_threads(threads)
        chosen = WORKLOADS[workload]
        X, y = chosen.data()
        self.network = self.network_for(chosen)
        shape, dtype = (len(X), chosen.sizes[-1]), self.network.dtype
        self.data = {
            "inputs": self.network.check_input(X, "X"),
            "labels" if chosen.loss.takes_labels else "targets": chosen.loss.check_target(
                y, shape, dtype
            ),
        }
        steps = max(1, min(100, int(FLOPS / chosen.flops)))
        plan = self.network.make_plan(
            X.shape[1:], chosen.batch, loss=chosen.loss, steps=steps, threads=threads, training=True
        )
        self.machine = self.network.make_machine(plan, "numba")
        self.state = cr.Adam().state(self.network, self.options)
        self.losses = self.machine.losses_for(steps)
        self.order = np.tile(np.arange(chosen.batch), steps)
        if not chosen.full_batch:
            self.order = np.random.default_rng(0).integers(0, len(X), self.order.size)
        self.run(WHOLE)  # compiles or loads

    def network_for(self, workload):
        return workload.network()

    def run(self, phases):
        machine, network = self.machine, self.network
        machine.prepare_run(phases, **self.state.arguments)(
            self.order,
            machine.vectors(network.params, grads=network.grads),
            make_data(network.dtype, **self.data),
            machine.results(losses=self.losses),
            lr=self.state.lr,
        )


class Parts(Engine):
    params = (MEDIUM, THREADS[:1])

    def time_forward(self, workload, threads):
        self.run(Phase.FORWARD)

    def time_backward(self, workload, threads):
        self.run(Phase.BACKWARD)

    def time_update(self, workload, threads):
        self.run(Phase.UPDATE)


class Steps(Engine):
    params = (MEDIUM, THREADS)

    def time_whole(self, workload, threads):
        self.run(WHOLE)


class Shortcuts(Steps):
    """Beside Steps on the same workload: around each layer and its activation goes a shortcut."""

    params = (["deep"], THREADS)

    def network_for(self, workload):
        layers = super().network_for(workload).layers
        blocks = [cr.Residual(*pair) for pair in zip(layers[::2], layers[1::2], strict=False)]
        return cr.Sequential(*blocks, layers[-1], seed=0, dtype=workload.dtype)


class Dropout(Steps):
    """Beside Steps on the same workload: a dropout after each activation."""

    params = (["mnist"], THREADS)

    def network_for(self, workload):
        layers = super().network_for(workload).layers
        hidden = (
            cr.Sequential(*pair, cr.Dropout())
            for pair in zip(layers[::2], layers[1::2], strict=False)
        )
        return cr.Sequential(*hidden, layers[-1], seed=0, dtype=workload.dtype)


class Clipping(Steps):
    """Beside Steps on the same workload: the gradient's norm is limited."""

    params = (["mnist"], THREADS)

    options = UpdateOptions(clip_norm=1e-3)


class LargeStep(Steps):
    """It takes seconds."""

    params = (["large"], THREADS)
    warmup_time = 0
    timeout = 300

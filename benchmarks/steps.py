"""A training step and its parts, as the compiled engine does them; each call does 100 steps."""

import numpy as np

import chainrule as cr
from benchmarks.workloads import WORKLOADS
from chainrule.engine.instructions import Phase
from chainrule.engine.machine import Machine

STEPS = 100


class Steps:
    params = (list(WORKLOADS),)
    param_names = ("workload",)

    def setup(self, workload):
        chosen = WORKLOADS[workload]
        X, y = chosen.data()
        self.network = chosen.network()
        shape, dtype = (len(X), chosen.sizes[-1]), self.network.dtype
        self.data = {
            "inputs": self.network.check_input(X, "X"),
            "labels" if chosen.loss.takes_labels else "targets": chosen.loss.check_target(
                y, shape, dtype
            ),
        }
        plan = self.network.make_plan(X.shape[1:], chosen.batch, loss=chosen.loss)
        self.machine = Machine(plan, dtype, "numba")
        self.state = cr.Adam().state(self.network)
        self.losses = np.empty((STEPS, 2))
        self.order = np.random.default_rng(0).integers(0, len(X), STEPS * chosen.batch)
        self.run(Phase.FORWARD | Phase.BACKWARD | Phase.UPDATE)  # compiles or loads

    def run(self, phases):
        self.machine.run(
            phases,
            self.order,
            params=self.network.params,
            grads=self.network.grads,
            losses=self.losses,
            update=self.state.rule,
            state=self.state.vectors,
            **self.data,
        )

    def time_forward(self, workload):
        self.run(Phase.FORWARD)

    def time_backward(self, workload):
        self.run(Phase.BACKWARD)

    def time_update(self, workload):
        self.run(Phase.UPDATE)

    def time_whole(self, workload):
        self.run(Phase.FORWARD | Phase.BACKWARD | Phase.UPDATE)

"""What SciPy's optimizers call, against the bare engine on the same rows."""

import numpy as np

import chainrule as cr
from chainrule.cli.measurement.workloads import WORKLOADS
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase


class Objective:
    """All rows in one call: 200 of expm and sc24, 4096 of tiny, 12,800 of mnist."""

    params = (["expm", "sc24", "tiny", "mnist"],)
    param_names = ("workload",)

    def setup(self, workload):
        chosen = WORKLOADS[workload]
        X, y = chosen.data()
        net = chosen.network().copy("float64")
        self.objective = cr.objective(net, chosen.loss, X, y)
        self.theta = self.objective.start
        self.rows, self.params, self.grads = len(X), net.params, net.grads
        target = chosen.loss.check_target(y, (len(X), chosen.sizes[-1]), net.dtype)
        self.data = {
            "inputs": net.check_input(X, "X"),
            "labels" if chosen.loss.takes_labels else "targets": target,
        }
        rows = min(len(X), 1024)
        plan = net.make_plan(X.shape[1:], rows, loss=chosen.loss, threads=cr.get_num_threads())
        self.machine = Machine(plan, net.dtype, "numba")
        self.losses = self.machine.losses_for(-(-len(X) // rows))
        self.time_fun(workload)  # compiles or loads

    def time_fun(self, workload):
        self.objective.fun(self.theta)

    def time_engine(self, workload):
        self.machine.run(
            Phase.FORWARD | Phase.BACKWARD,
            self.rows,
            self.machine.vectors(self.params, grads=self.grads),
            make_data(self.params.dtype, **self.data),
            self.machine.results(losses=self.losses),
        )


class Residuals:
    """200 rows of four outputs; 97 and 274 parameters."""

    params = ([16, 32],)
    param_names = ("hidden",)

    def setup(self, hidden):
        rng = np.random.default_rng(0)
        net = cr.Sequential(cr.Linear(4, hidden), cr.Tanh(), cr.Linear(hidden, 1), seed=0)
        X, y = rng.normal(size=(200, 4)), rng.normal(size=200)
        self.objective = cr.objective(net, cr.MSELoss(), X, y)
        self.time_jac(hidden)  # compiles or loads

    def time_residuals(self, hidden):
        self.objective.residuals(self.objective.start)

    def time_jac(self, hidden):
        self.objective.jac(self.objective.start)

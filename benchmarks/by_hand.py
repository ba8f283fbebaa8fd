"""What a hand-written loop calls, one batch at a time."""

import chainrule as cr
from chainrule.cli.measurement.workloads import SMALL, WORKLOADS


class ByHand:
    params = (SMALL,)
    param_names = ("workload",)

    def setup(self, workload):
        chosen = WORKLOADS[workload]
        X, y = chosen.data()
        self.x, self.y = X[: chosen.batch], y[: chosen.batch]
        self.network, self.loss, self.optimizer = chosen.network(), chosen.loss, cr.Adam()
        self.step = cr.train_step(self.network, self.loss, self.optimizer)
        self.time_step(workload)  # compiles or loads
        self.time_train_step(workload)
        self.output = self.network.predict(self.x)

    def time_forward(self, workload):
        self.network.forward(self.x)

    def time_loss(self, workload):
        self.loss(self.output, self.y)

    def time_optimizer_step(self, workload):
        self.optimizer.step(self.network)

    def time_step(self, workload):
        output = self.network.forward(self.x)
        _, d_output = self.loss(output, self.y)
        self.network.backward(d_output)
        self.optimizer.step(self.network)

    def time_train_step(self, workload):
        self.step(self.x, self.y)

    def time_plan(self, workload):
        self.network.make_plan(self.x.shape[1:], len(self.x), loss=self.loss)


class GradientCheck:
    params = (SMALL,)
    param_names = ("workload",)

    def setup(self, workload):
        chosen = WORKLOADS[workload]
        X, y = chosen.data()
        self.arguments = chosen.network(), chosen.loss, X[:8], y[:8]
        cr.gradcheck(*self.arguments)  # compiles or loads

    def time_gradcheck(self, workload):
        cr.gradcheck(*self.arguments)

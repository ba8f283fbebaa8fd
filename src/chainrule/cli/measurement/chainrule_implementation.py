"""chainrule's implementations of the workloads: by its public functions, and by its engine."""

import numpy as np

import chainrule as cr
from chainrule.cli.measurement.implementation import BETAS, EPS, LEARNING_RATE, Implementation
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase


class Chainrule(Implementation):
    name = "chainrule"

    @staticmethod
    def use_threads(threads):
        cr.set_num_threads(threads)

    def start(self, parameters):
        self.network = self.workload.network()
        self.optimizer = cr.Adam(LEARNING_RATE, BETAS, EPS)

    def train(self, seed, epochs):
        if self.workload.from_python:
            return self.loop(seed, epochs)
        history = cr.fit(
            self.network,
            self.X,
            self.y,
            loss=self.workload.loss,
            optimizer=self.optimizer,
            epochs=epochs,
            batch_size=self.workload.batch,
            shuffle=not self.workload.full_batch,
            seed=seed,
            progress=False,
        )
        return history.loss

    def loop(self, seed, epochs):
        means = []
        for batches in self.orders(seed, epochs):
            losses = [self.step(*xy) for xy in zip(self.X[batches], self.y[batches], strict=True)]
            means.append(float(np.mean(losses)))
        return means

    def step(self, x, y):
        output = self.network.forward(x)
        value, d_output = self.workload.loss(output, y)
        self.network.backward(d_output)
        self.optimizer.step(self.network)
        return value

    def gradient(self, times):
        evaluate = cr.value_and_grad(self.network, self.workload.loss)
        for _ in range(times):
            value, gradient = evaluate(self.network.params, self.X, self.y)
        return [value, float(np.linalg.norm(gradient))]


class ChainruleStep(Chainrule):
    """A step in one call."""

    name = "chainrule train_step"

    @staticmethod
    def refusal(workload):
        return "" if workload.from_python else "it is for batches that come from Python"

    def start(self, parameters):
        super().start(parameters)
        self.train_step = cr.train_step(self.network, self.workload.loss, self.optimizer)

    def step(self, x, y):
        return self.train_step(x, y)


class ChainruleEngine(Chainrule):
    """Values and gradients in one compiled call, as in ``fit``; there is no public function yet."""

    name = "chainrule engine"

    @staticmethod
    def refusal(workload):
        return "for training, it is what `fit` runs" if workload.updates else ""

    def gradient(self, times):
        loss, rows = self.workload.loss, self.workload.rows
        x = self.network.check_input(self.X, "X")
        y = loss.check_target(self.y, (rows, self.workload.sizes[-1]), self.network.dtype)
        plan = self.network.make_plan(
            x.shape[1:], rows, loss=loss, steps=times, threads=cr.get_num_threads()
        )
        machine = self.network.make_machine(plan, "numba")
        losses = machine.losses_for(times)
        machine.run(
            Phase.FORWARD | Phase.BACKWARD,
            np.tile(np.arange(rows), times),
            machine.vectors(self.network.params, grads=self.network.grads),
            make_data(self.network.dtype, x, **{"labels" if loss.takes_labels else "targets": y}),
            machine.results(losses=losses),
        )
        return [float(losses[-1, 1]), float(np.linalg.norm(self.network.grads))]

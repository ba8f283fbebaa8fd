"""Derivatives of whole networks, called from Python; peers/derivatives.py compares with others."""

import numpy as np

import chainrule as cr
from chainrule.cli.measurement.workloads import SMALL, WORKLOADS


class Derivatives:
    params = (SMALL,)
    param_names = ("workload",)

    def setup(self, workload):
        chosen = WORKLOADS[workload]
        X, y = chosen.data()
        self.net, self.loss = chosen.network(), chosen.loss
        self.data = self.net, self.loss, X[: chosen.batch], y[: chosen.batch]
        self.x = self.data[2]
        self.evaluate = cr.value_and_grad(self.net, self.loss)
        self.theta, self.v = self.net.params.copy(), self.net.params.copy()
        self.room = np.empty((chosen.batch, self.theta.size), self.theta.dtype)
        for name in dir(self):
            if name.startswith("time_"):
                getattr(self, name)(workload)  # compiles or loads

    def time_forward(self, workload):
        self.net.forward(self.x)

    def time_value_and_grad(self, workload):
        self.evaluate(self.theta, *self.data[2:])

    def time_jvp_params(self, workload):
        cr.jvp(self.net, self.x, self.v)

    def time_jvp_x(self, workload):
        cr.jvp(self.net, self.x, self.x, "x")

    def time_hvp(self, workload):
        cr.hvp(*self.data, self.v)

    def time_gauss_newton_vp(self, workload):
        cr.gauss_newton_vp(*self.data, self.v)

    def time_per_sample_grad(self, workload):
        cr.per_sample_grad(*self.data)

    def time_per_sample_grad_into_out(self, workload):
        cr.per_sample_grad(*self.data, out=self.room)

    def time_per_sample_norms(self, workload):
        cr.per_sample_norms(*self.data)

    def time_clipped_grad(self, workload):
        cr.clipped_grad(*self.data, 1.0)

    def time_jacobian_x(self, workload):
        cr.jacobian(self.net, self.x, "x")


class InputDerivatives:
    """A step of training on a differential equation: first and second derivatives, and back."""

    def setup(self):
        layers = cr.Linear(2, 20), cr.Tanh(), cr.Linear(20, 20), cr.Tanh(), cr.Linear(20, 1)
        self.net = cr.Sequential(*layers, seed=0)
        self.x = np.random.default_rng(0).uniform(size=(512, 2))
        self.time_and_back()

    def time_and_back(self):
        values, pullback = cr.input_derivatives(self.net, self.x, [(), (0,), (1, 1)])
        pullback(values)

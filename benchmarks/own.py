"""The cost of custom layers, beside the built-in ones.

``python -m benchmarks.own`` prints a table.
"""

from os import urandom
from time import perf_counter

import numpy as np

import chainrule as cr
from chainrule.elementary import tanh
from chainrule.engine.binding import Binding
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels import compilation
from chainrule.kernels.context import CONTEXT_SIZE, Phase
from chainrule.kernels.jit import kernel
from chainrule.kernels.native import call, call_python
from chainrule.operations.operation import Function
from chainrule.plan.call import Call
from chainrule.plan.plan import table_of

BATCH = 64
STEPS = 100
FORWARD_AND_BACKWARD = Phase.PREDICT | Phase.BACKWARD | Phase.INPUT_GRADIENT


def forward(x, weight, bias, y):
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = bias[j]
        for k in range(x.shape[1]):
            for j in range(y.shape[1]):
                y[i, j] += x[i, k] * weight[k, j]


def backward(dy, x, weight, dx, d_weight, d_bias):
    for i in range(x.shape[0]):
        for j in range(dy.shape[1]):
            d_bias[j] += dy[i, j]
        for k in range(x.shape[1]):
            inner = x.dtype.type(0)
            for j in range(dy.shape[1]):
                d_weight[k, j] += x[i, k] * dy[i, j]
                inner += weight[k, j] * dy[i, j]
            dx[i, k] = inner


class Affine(cr.NumPyLayer):
    def parameters(self):
        return cr.Linear(64, 64).parameters()

    def forward(self, x, weight, bias):
        return x @ weight + bias, (x, weight)

    def backward(self, dy, saved):
        x, weight = saved
        return dy @ weight.T, {"weight": x.T @ dy, "bias": dy.sum(axis=0)}


LAYERS = {
    "Tanh": cr.Tanh(),
    "Activation of elementary.tanh": cr.Activation(lambda x: tanh(x), lambda y: 1 - y * y),
    "Activation of np.tanh": cr.Activation(lambda x: np.tanh(x), lambda y: 1 - y * y),
    "Activation of np.tanh, complex step": cr.Activation(lambda x: np.tanh(x)),
    "Linear": cr.Linear(64, 64),
    "CompiledLayer, five loops": cr.CompiledLayer(
        forward, backward, parameters=cr.Linear(64, 64).parameters()
    ),
    "NumPyLayer": Affine(),
}


class Layers:
    """Forward and backward through one layer, 64 rows of 64 numbers, 100 times a call."""

    params = tuple(LAYERS)
    param_names = ("layer",)

    def setup(self, layer):
        self.network = cr.Sequential(LAYERS[layer], seed=0)
        X = np.random.default_rng(0).standard_normal((BATCH, 64), "float32")
        plan = self.network.make_plan((64,), BATCH, retain=True)  # x and d_output stay
        self.machine = Machine(plan, self.network.dtype, "numba")
        vectors = self.machine.vectors(self.network.params)
        self.machine.run(Phase.GATHER, BATCH, vectors, make_data(self.network.dtype, X))
        self.machine.rows_at("d_output", BATCH)[:] = 1
        self.order = np.tile(np.arange(BATCH), STEPS)
        self.time_step(layer)  # compiles

    def time_step(self, layer):
        vectors = self.machine.vectors(self.network.params, grads=self.network.grads)
        self.machine.run(FORWARD_AND_BACKWARD, self.order, vectors)

    def microseconds(self, layer):
        """Return the least time of one step."""
        self.setup(layer)
        times = []
        for _ in range(20):
            started = perf_counter()
            self.time_step(layer)
            times.append(perf_counter() - started)
        return min(times) / STEPS * 1e6


@kernel
def call_often(program, context, times):
    for _ in range(times):
        call(program, 0, context)


@kernel
def call_python_often(program, context, times):
    for _ in range(times):
        call_python(program, 0, context)


class Calls:
    """What it takes to get into a function and out again."""

    params = ("compiled", "Python")
    param_names = ("function",)
    times = 100_000

    def setup(self, function):
        compiled = function == "compiled"
        label = "a function that does nothing"
        program = [Call(Function(lambda: None, (), label, can_compile=compiled), ())]
        dtype = np.dtype("float32")
        self.bound = Binding(program, table_of(program, {}), dtype, "numba", True, {}, [])
        self.context = np.zeros(CONTEXT_SIZE, np.int64)
        self.often = call_often if compiled else call_python_often
        self.often(self.bound.table, self.context, 1)

    def track_call(self, function):
        started = perf_counter()
        self.often(self.bound.table, self.context, self.times)
        return (perf_counter() - started) / self.times * 1e9

    track_call.unit = "ns"


class FirstUse:
    """Compiling a layer of one's own: nothing else is. Then loading it, as a next process does."""

    def setup(self):
        cr.Sequential(cr.Identity()).forward(np.ones((1, 1)))
        self.functions = {}

    def track_seconds(self):
        number = int.from_bytes(urandom(4), "little")  # the same functions would be on the disk
        exec(NEW_FUNCTIONS.replace("NUMBER", str(number)), self.functions)
        return self.track_seconds_of_the_next_process()

    def track_seconds_of_the_next_process(self):
        if not self.functions:
            self.track_seconds()
        compilation._of_user.cache_clear()
        layer = cr.CompiledLayer(self.functions["forward"], self.functions["backward"])
        started = perf_counter()
        cr.Sequential(layer).forward(np.ones((1, 1)))
        return perf_counter() - started

    track_seconds.unit = track_seconds_of_the_next_process.unit = "s"


NEW_FUNCTIONS = """
def forward(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] * NUMBER

def backward(dy, x, dx):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = dy[i, j] * NUMBER
"""


def main():
    for name in LAYERS:
        print(f"{name:36} {Layers().microseconds(name):8.2f} us a step")
    for name in Calls.params:
        calls = Calls()
        calls.setup(name)
        print(f"a call of a {name} function: {calls.track_call(name):.1f} ns")
    first = FirstUse()
    first.setup()
    print("compiling the first layer, and one more:", end="")
    print(*(f" {first.track_seconds():.2f} s" for _ in range(2)), sep=",")
    print(f"loading it from the disk: {1e3 * first.track_seconds_of_the_next_process():.1f} ms")


if __name__ == "__main__":
    main()

"""A machine after a run: what it keeps of it, and whose error it names."""

import copy
import gc
import inspect
import pickle
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import update
from chainrule.engine.machine import Machine, PreparedRun
from chainrule.engine.records import make_data
from chainrule.engine.update import Run, UpdateOptions, UpdateProgram
from chainrule.kernels import compilation
from chainrule.kernels.cache import NoCache
from chainrule.kernels.context import Phase
from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.operations.operation import Operation, ParameterUse, function
from chainrule.operations.update import UpdateOperation
from chainrule.plan import Head, PlanBuilder, Tensor, make_plan

SINGLE = np.dtype("float32")
BACKENDS = ["numba", "numpy"]
both_backends = pytest.mark.parametrize("backend", BACKENDS)


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(SINGLE)


class Half(cr.NumPyLayer):
    def forward(self, x):
        return x / 2, None

    def backward(self, dy, saved):
        return dy / 2, {}


class SquaredError(cr.NumPyLoss):
    def forward(self, output, target):
        return ((output - target) ** 2).sum(axis=1), 2 * (output - target)


def double(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2 * x[i, j]


def double_backward(dy, dx):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[i, j] = 2 * dy[i, j]


LAYERS = {
    "none": lambda: [],
    "NumPyLayer": lambda: [Half()],
    "CompiledLayer": lambda: [cr.CompiledLayer(double, double_backward)],
}


# What is alive after a run


@both_backends
@pytest.mark.parametrize("layers", LAYERS)
def test_no_array_of_a_run_is_kept(layers, backend):
    """Every array that ``run`` may get."""
    net = cr.Sequential(cr.Linear(3, 2), *LAYERS[layers](), seed=0, backend=backend)
    loss = cr.MultiLoss(SquaredError()) if layers == "NumPyLayer" else cr.MSELoss()
    plan = net.make_plan((3,), 4, loss=loss)
    machine = Machine(plan, SINGLE, backend)
    options = UpdateOptions(clip_norm=1.0, average_decay=0.5)
    numbers = {"beta1": 0.9, "beta2": 0.9}
    program = UpdateProgram(
        net.params.size, SINGLE, options, "lion", numbers, [Run(0, net.params.size, 0.0)]
    )
    size = net.params.size
    given = {
        "params": random(size),
        "direction": random(size),
        "grads": random(size),
        "inputs": random(4, 3),
        "targets": random(4, 2),
        "labels": np.zeros(4, np.int64),
        "weights": np.ones(4, SINGLE),
        "outputs": random(4, 2),
        "losses": machine.losses_for(1),
        "rates": np.full(1, 0.1),
        "steps": np.zeros(1, np.int64),
        "state": random(1, size),
        "average": random(size),
        "order": np.arange(4),
    }
    makers = machine.prepare_run, machine.vectors, make_data, machine.results
    arrays = {
        name
        for function in (*makers, PreparedRun.__call__)
        for name, parameter in inspect.signature(function).parameters.items()
        if any(kind in str(parameter.annotation) for kind in ("Array", "Integers", "Doubles"))
    }
    assert given.keys() == arrays
    phases = Phase.FORWARD | Phase.OUTPUT | Phase.BACKWARD | Phase.INPUT_GRADIENT | Phase.UPDATE
    given |= {"phases": phases, "update": program, "dtype": SINGLE}
    run, vectors, data, results = (_call(maker, given) for maker in makers)
    assert _call(run, given | {"vectors": vectors, "data": data, "results": results}) == 1
    given = {name: given[name] for name in arrays}
    del run, vectors, data, results
    alive = {name: weakref.ref(array) for name, array in given.items()}
    del given
    gc.collect()
    assert [name for name, array in alive.items() if array() is not None] == []


def _call(function, given):
    """Call a function with those of ``given`` that it takes."""
    names = inspect.signature(function).parameters
    return function(**{name: value for name, value in given.items() if name in names})


CALLS = {
    "predict": lambda net, x, y, w: net.predict(x),
    "fit": lambda net, x, y, w: cr.fit(
        net, x, y, loss=SquaredError(), sample_weight=w, validation=(x, y), epochs=1,
        batch_size=2, progress=False,
    ),
    "loss": lambda net, x, y, w: SquaredError()(x, x, w),
    "value_and_grad": lambda net, x, y, w: cr.value_and_grad(net, SquaredError())(
        net.params, x, y, w
    ),
    "per_sample_grad": lambda net, x, y, w: cr.per_sample_grad(net, SquaredError(), x, y),
    "clipped_grad": lambda net, x, y, w: cr.clipped_grad(net, SquaredError(), x, y, 1.0),
}  # fmt: skip


@both_backends
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("call", CALLS)
def test_no_array_of_a_call_is_kept(call, layers, backend):
    net = cr.Sequential(cr.Linear(3, 2), *LAYERS[layers](), seed=0, backend=backend)
    arrays = random(4, 3), random(4, 2), np.ones(4, SINGLE)
    CALLS[call](net, *arrays)
    alive = [weakref.ref(array) for array in arrays]
    del arrays
    gc.collect()
    assert [array() is None for array in alive] == [True] * 3


# Kernels raise where NUMBA_BOUNDSCHECK is set


@kernel
def pass_on(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j]


@kernel
def pass_back(dy, weight, dx):
    pass_on(dy, dx)


@kernel
def refuse_gradient(dy, d_weight):
    if d_weight.size > dy.size - 2:
        raise IndexError("out of bounds")


@kernel
def refuse_update(params, grads):
    if params.size > grads.size - 1:
        raise IndexError("out of bounds")


@pytest.fixture
def nothing_kept(monkeypatch):
    """Functions of this file have no place in the cache on disk."""

    class NotKept(NoCache):
        def has(self, signature):
            return False

    monkeypatch.setattr(compilation, "_cache_of", lambda *_: NotKept())


compiled_only = pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")


@compiled_only
@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_an_update_has_the_updates_name(monkeypatch, all_threads, threads):
    rule = UpdateOperation("refuse", function(refuse_update), ())
    monkeypatch.setattr(update, "find", lambda name: rule)
    net = cr.Sequential(cr.Linear(3, 2), cr.ReLU(), cr.Linear(2, 2), seed=0)
    with all_threads():
        plan = net.make_plan((3,), 48, loss=cr.MSELoss(), threads=threads)
        assert plan.threads == threads
        machine, size = Machine(plan, SINGLE, "numba"), net.params.size
        # The rule stands behind others.
        options = UpdateOptions(clip_norm=1.0, clip_value=1.0)
        program = UpdateProgram(size, SINGLE, options, "refuse", {}, [Run(0, size, 0.0)])
        vectors = machine.vectors(net.params, grads=np.zeros_like(net.params))
        data = make_data(SINGLE, random(48, 3), random(48, 2))
        results = machine.results(losses=machine.losses_for(1))
        phases = Phase.FORWARD | Phase.BACKWARD | Phase.UPDATE
        with pytest.raises(IndexError, match="out of bounds") as caught:
            machine.prepare_run(phases, update=program)(48, vectors, data, results, lr=0.1)
    assert caught.value.__notes__ == ["It was raised in refuse_update."]


@compiled_only
@pytest.mark.usefixtures("nothing_kept")
def test_an_error_in_the_gradient_of_one_sample_comes_out():
    builder, x = PlanBuilder(), Tensor((2,))
    operation = Operation(
        "refuse",
        function(pass_on),
        {"x": function(pass_back)},
        gradients={"weight": function(refuse_gradient)},
    )
    weight = ParameterUse("weight", (2,))
    y = builder.apply(operation, x, parameters={"weight": weight})
    plan = make_plan(builder, [x], [Head(y)], offsets={"weight": 0}, batch=4, dtype=SINGLE)
    machine, params, grads = Machine(plan, SINGLE, "numba"), np.ones(2, SINGLE), random(8)
    vectors = machine.vectors(params, grads=np.zeros(2, SINGLE))
    machine.run(Phase.FORWARD, 4, vectors, make_data(SINGLE, random(4, 2)))
    machine.run(Phase.BACKWARD, 4, vectors)
    with pytest.raises(IndexError, match="out of bounds") as caught:
        machine.differentiate_samples(0, 4, 0, 2, params, grads)
    assert caught.value.__notes__ == ["It was raised in refuse_gradient."]
    assert not machine.usable


@pytest.mark.parametrize("carry", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_machine_is_not_copied_with_its_addresses(carry):
    net = cr.Sequential(cr.Linear(2, 1), seed=0)
    machine = net.make_machine(net.make_plan((2,), 4))
    with pytest.raises(TypeError, match="A machine cannot be copied or pickled"):
        carry(machine)


@both_backends
@pytest.mark.parametrize(
    "vectors", [np.zeros((2, 3)), np.zeros((2, 2), "f"), np.zeros((3, 2), "f").T]
)
def test_vectors_that_are_not_like_the_parameters_are_refused(backend, vectors):
    net = cr.Sequential(cr.Linear(2, 1), seed=0, backend=backend)
    optimizer, before = cr.Adam(), net.params.copy()
    optimizer.state(net).vectors = vectors
    with pytest.raises(ValueError, match="state must be a C-contiguous array of float32 with 3"):
        optimizer.step(net)
    np.testing.assert_array_equal(net.params, before)

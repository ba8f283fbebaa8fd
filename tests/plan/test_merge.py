"""Steps that one operation computes together, forward and backward."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.kernels.jit import JIT_DISABLED

NORM = cr.BatchNorm(3)
TILED = ["batch_norm_max_pool"]
# Layers, the shape of an image, and the steps of a plan for training.
CASES = [
    ([NORM, cr.MaxPool2d(2)], (6, 4, 3), TILED),
    ([NORM, cr.ReLU(), cr.MaxPool2d(2)], (6, 4, 3), TILED),
    ([NORM, cr.MaxPool2d(2), cr.ReLU()], (6, 4, 3), TILED),
    ([NORM, cr.ReLU(), cr.MaxPool2d((3, 1))], (6, 4, 3), TILED),
    ([NORM, cr.ReLU(), cr.MaxPool1d(4)], (8, 3), TILED),
    ([cr.BatchNorm(19, affine=False), cr.MaxPool2d(2)], (2, 2, 19), TILED),  # more than a vector
    ([NORM, cr.MaxPool2d(2), cr.Flatten(), cr.ReLU()], (6, 4, 3), TILED),
    ([NORM, cr.MaxPool2d(2), cr.Tanh()], (6, 4, 3), [*TILED, "tanh"]),
    ([NORM, cr.MaxPool2d(2, stride=1)], (6, 4, 3), ["batch_norm", "max_pool"]),
    ([NORM, cr.MaxPool2d(2, padding=1)], (6, 4, 3), ["batch_norm", "max_pool"]),
    ([NORM, cr.MaxPool2d(4)], (6, 4, 3), ["batch_norm", "max_pool"]),
    ([NORM, cr.Parallel(cr.MaxPool2d(2), cr.MaxPool2d(2))], (6, 4, 3), None),
    ([cr.MaxPool2d(2), cr.ReLU()], (6, 4, 3), ["max_pool"]),
    ([cr.ReLU(), cr.MaxPool2d(3, stride=1), cr.Flatten()], (6, 4, 3), ["max_pool"]),
]  # fmt: skip


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]))
def test_merged_steps_do_what_each_does_by_itself(case, backend):
    """With values, gradients and running statistics, where windows and weights are negative."""
    layers, shape, expected = case
    options, rng = {"seed": 0, "dtype": "float64", "backend": backend}, np.random.default_rng(0)
    net = cr.Sequential(*layers, **options)
    plan = net.make_plan(shape, 9, training=True)
    if expected is not None:
        assert [step.operation.name for step in plan.steps] == expected
    net.params[:] = rng.normal(size=net.params.size)
    x = rng.normal(-0.5, 1, size=(9, *shape))
    alone = [cr.Sequential(layer, **options) for layer in layers]
    of_norm = next((i for i, layer in enumerate(layers) if isinstance(layer, cr.BatchNorm)), None)
    if of_norm is not None:
        alone[of_norm].params[:] = net.params
    y = x
    for one in alone:
        y = one.forward(y)
    np.testing.assert_allclose(net.forward(x), y, rtol=1e-12, atol=1e-12)
    dy = rng.normal(size=y.shape)
    dx = net.backward(dy)
    for one in reversed(alone):
        dy = one.backward(dy)
    np.testing.assert_allclose(dx, dy, rtol=1e-10, atol=1e-12)
    if of_norm is not None:
        np.testing.assert_allclose(net.grads, alone[of_norm].grads, rtol=1e-10, atol=1e-12)
        buffers = alone[of_norm].buffers().values()
        for found, other in zip(net.buffers().values(), buffers, strict=True):
            np.testing.assert_allclose(found, other, rtol=1e-12)


@pytest.mark.parametrize("frozen", [(), ("0.weight",), ("0.bias",)])
def test_a_convolution_has_both_gradients_in_one_call(frozen):
    layer, rng = cr.Conv2d(2, 5, 3), np.random.default_rng(0)
    net = cr.Sequential(layer, cr.Flatten(), cr.Linear(5, 2), seed=0, dtype="float64")
    x, y = rng.normal(size=(6, 3, 3, 2)), rng.normal(size=(6, 2))
    _, whole = cr.value_and_grad(net, cr.MSELoss())(net.params, x, y)
    if frozen:
        net.freeze(*frozen)
    expected = {
        name: view - (0 if name in frozen else 0.1 * gradient)
        for (name, view), gradient in zip(
            net.parameters().items(), net.views(whole).values(), strict=True
        )
    }
    options = {"epochs": 1, "batch_size": 6, "progress": False, "optimizer": cr.SGD(lr=0.1)}
    cr.fit(net, x, y, loss=cr.MSELoss(), **options)
    for name, view in net.parameters().items():
        np.testing.assert_allclose(view, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)
    plan = net.make_plan((3, 3, 2), 6, training=True, frozen=frozen)
    names = [call.function.code.__name__ for call in plan.program]
    assert names.count("convolution_backward_parameters") == 1


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python runs in one thread")
def test_bits_depend_neither_on_threads_nor_on_their_rows_of_a_weight(all_threads):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 16, 16, 3)), rng.integers(0, 3, 80)
    found = []
    for threads in (1, 2, 3, 4):
        layers = cr.Conv2d(3, 6, 5, padding=2), cr.BatchNorm(6), cr.ReLU(), cr.MaxPool2d(2)
        net = cr.Sequential(*layers, cr.Conv2d(6, 17, 3), cr.GlobalAvgPool(), cr.Linear(17, 3),
                            seed=0)  # fmt: skip
        plan = net.make_plan((16, 16, 3), 40, training=True, steps=2, threads=threads)
        assert plan.threads == threads
        with all_threads(), cr.threads(threads):
            cr.fit(net, x, y, loss=cr.CrossEntropyLoss(), epochs=2, batch_size=40, progress=False)
        found.append(net.values.tobytes())
    assert len(set(found)) == 1

"""Losses of one's own, in NumPy and compiled."""

import numpy as np
import pytest
from numba import njit

import chainrule as cr
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase


def batch(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@njit
def squares(output, target, losses, d_output):
    for i in range(output.shape[0]):
        losses[i] = 0
        for j in range(output.shape[1]):
            error = output[i, j] - target[i, j]
            losses[i] += error * error / output.shape[1]
            d_output[i, j] = 2 * error / output.shape[1]


class Squares(cr.NumPyLoss):
    def forward(self, output, target):
        error = output - target
        return (error**2).mean(axis=1), 2 * error / error.shape[1]


def log_probability(label, output, d_output, losses):
    for i in range(output.shape[0]):
        total = 0.0
        for j in range(output.shape[1]):
            d_output[i, j] = np.exp(output[i, j])
            total += d_output[i, j]
        for j in range(output.shape[1]):
            d_output[i, j] /= total
        losses[i] = -np.log(d_output[i, label[i]])
        d_output[i, label[i]] -= 1


class LogProbability(cr.NumPyLoss):
    def forward(self, output, label):
        p = np.exp(output)
        p /= p.sum(axis=1, keepdims=True)
        rows = np.arange(len(p))
        losses = -np.log(p[rows, label])
        p[rows, label] -= 1
        return losses, p


TWINS = {
    "CompiledLoss": (cr.CompiledLoss(squares), cr.MSELoss()),
    "NumPyLoss": (Squares(), cr.MSELoss()),
    "labels": (cr.CompiledLoss(log_probability), cr.CrossEntropyLoss()),
    "labels in NumPy": (LogProbability(), cr.CrossEntropyLoss()),
}


def target_for(loss):
    rng = np.random.default_rng(3)
    return rng.integers(0, 3, 20) if loss.takes_labels else batch(20, 3, seed=1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("own", "built_in"), TWINS.values(), ids=TWINS)
def test_what_the_built_in_loss_gives(own, built_in, weighted):
    y = target_for(own)
    weights = np.random.default_rng(2).uniform(0, 2, 20) if weighted else None
    output = batch(20, 3)
    value, d_output = own(output, y, weights)
    expected, d_expected = built_in(output, y, weights)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(d_output, d_expected, rtol=1e-10, atol=1e-14)

    options = {"epochs": 2, "batch_size": 6, "sample_weight": weights, "progress": False}
    nets = [cr.Sequential(cr.Linear(4, 3), seed=0, dtype="float64") for _ in range(2)]
    histories = [
        cr.fit(net, batch(20, 4), y, loss=loss, **options)
        for net, loss in zip(nets, (own, built_in), strict=True)
    ]
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-9)
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-12)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(("own", "built_in"), TWINS.values(), ids=TWINS)
def test_gradcheck(own, built_in, backend):
    net = cr.Sequential(cr.Linear(4, 3), seed=0, dtype="float64", backend=backend)
    assert cr.gradcheck(net, own, batch(20, 4), target_for(own)).error < 1e-6


# A censored time: how long something lasted, and whether that was its end.


def survival(output, target, losses, d_output):
    for i in range(output.shape[0]):
        rate = np.exp(output[i, 0])
        losses[i] = rate * target[i, 0] - target[i, 1] * output[i, 0]
        d_output[i, 0] = rate * target[i, 0] - target[i, 1]


class Survival(cr.NumPyLoss):
    def target_shape(self, output_shape):
        return (2,)

    def forward(self, output, target):
        rate, (time, ended) = np.exp(output[:, 0]), target.T
        return rate * time - ended * output[:, 0], (rate * time - ended)[:, np.newaxis]


@pytest.mark.parametrize("loss", [cr.CompiledLoss(survival, target_shape=(2,)), Survival()])
def test_targets_of_another_shape_than_the_outputs(loss):
    y = np.abs(batch(20, 2, seed=1))
    net = cr.Sequential(cr.Linear(4, 1), seed=0, dtype="float64")
    assert cr.gradcheck(net, loss, batch(20, 4), y).passed
    options = {"epochs": 3, "batch_size": 7, "progress": False, "validation": (batch(4, 4), y[:4])}
    history = cr.fit(net, batch(20, 4), y, loss=loss, **options)
    assert history.loss[-1] < history.loss[0]
    assert cr.explain(net, loss, batch(2, 4), y[:2]).loss == pytest.approx(
        loss(net.predict(batch(2, 4)), y[:2])[0]
    )
    with pytest.raises(ValueError, match=r"shape of the output, \(20, 2\)"):
        loss(batch(20, 1), batch(20, 1))


def test_threads_share_a_loss(all_threads):
    net = cr.Sequential(cr.Linear(4, 3), seed=0)
    loss, x, y = cr.CompiledLoss(squares), batch(61, 4), batch(61, 3)
    y = y.astype(np.float32)
    with all_threads():
        plan = net.make_plan((4,), 61, loss=loss, threads=5)
        assert net.make_plan((4,), 61, loss=Squares(), threads=5).threads == 1
        machine = Machine(plan, net.dtype, "numba")
        losses = machine.losses_for(1)
        data, results = make_data(net.dtype, x, y), machine.results(losses=losses)
        machine.run(Phase.FORWARD, 61, machine.vectors(net.params), data, results)
    expected, d_expected = cr.MSELoss()(net.forward(x), y)
    assert losses[0, 1] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(machine.rows_at("d_output", 61), d_expected, rtol=1e-5)


def test_custom_losses_of_several_outputs():
    heads = cr.Branch(cr.Linear(4, 3), cr.Linear(4, 1))
    net = cr.Sequential(cr.Linear(4, 4), heads, seed=0)
    loss = cr.MultiLoss(
        cr.CompiledLoss(log_probability),
        cr.CompiledLoss(survival, target_shape=(2,)),
        weights=(1, 3),
    )
    y = target_for(loss.losses[0]), np.abs(batch(20, 2))
    assert cr.gradcheck(net, loss, batch(20, 4), y).passed


def test_a_loss_that_is_not_finite_ends_a_training_as_always():
    class Logarithm(cr.NumPyLoss):
        def forward(self, output, target):
            with np.errstate(all="ignore"):
                return np.log(output[:, 0] * 0), 1 / (output * 0)

    net = cr.Sequential(cr.Linear(4, 1), seed=0)
    with pytest.raises(cr.NonFiniteError, match="not finite is that of the loss"):
        cr.fit(net, batch(8, 4), batch(8), loss=Logarithm(), batch_size=4, progress=False)


def raise_error(output, target, losses, d_output):
    if output.shape[0] > 0:
        raise ZeroDivisionError("no loss")


class Returns(cr.NumPyLoss):
    def __init__(self, forward):
        self.function = forward

    def forward(self, output, target):
        return self.function(output)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (cr.CompiledLoss(raise_error), ZeroDivisionError, "no loss"),
        (Returns(lambda out: 1 / 0), ZeroDivisionError, "division by zero"),
        (Returns(lambda out: out.sum()), TypeError, "`return losses, d_output`, not a float32"),
        (Returns(lambda out: (0.0, out)), ValueError, r"losses: its shape must be \(5,\), but is"),
        (Returns(lambda out: (out[:, 0], out[0])), ValueError, r"d_output: its shape must be \(5,"),
        (Returns(lambda out: (out[:, 0], np.nan * out)), ValueError, "d_output must be finite"),
    ],
)
def test_what_goes_wrong_in_a_loss_is_said(loss, error, message):
    net = cr.Sequential(cr.Linear(4, 3), seed=0)
    before = net.params.copy()
    with pytest.raises(error, match=message) as caught:
        cr.fit(net, batch(5, 4), batch(5, 3), loss=loss, batch_size=5, progress=False)
    assert f"It was raised in the loss {loss!r}." in caught.value.__notes__
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3,), {}, "must be a function, not 3"),
        ((lambda output, losses: 0,), {}, "must take 'd_output'"),
        ((lambda y, losses, d_output: 0,), {}, "takes 'y', but there is only output, target"),
        ((lambda label, target, losses, d_output: 0,), {}, "a target or a label, not both"),
        ((log_probability,), {"target_shape": (2,)}, "a target or a label, not both"),
    ],
)
def test_wrong_functions(arguments, options, message):
    with pytest.raises(TypeError, match=message):
        cr.CompiledLoss(*arguments, **options)


def test_a_numpy_loss_must_take_output_and_target():
    with pytest.raises(TypeError, match=r"Other.forward must take \(self, output, target\)"):

        class Other(cr.NumPyLoss):
            def forward(self, out, y):
                return 0, 0


def test_labels_are_checked():
    with pytest.raises(ValueError, match="label 3 at row 0"):
        LogProbability()(batch(2, 3), [3, 0])


# Second derivatives: of the fourth power of the error, and of a loss of labels


def fourth(output, target, losses, d_output):
    for i in range(output.shape[0]):
        losses[i] = 0
        for j in range(output.shape[1]):
            error = output[i, j] - target[i, j]
            losses[i] += error**4
            d_output[i, j] = 4 * error**3


def fourth_curvature(output, target, direction, d_gradient):
    for i in range(output.shape[0]):
        for j in range(output.shape[1]):
            d_gradient[i, j] = 12 * (output[i, j] - target[i, j]) ** 2 * direction[i, j]


class Fourth(cr.NumPyLoss):
    def forward(self, output, target):
        error = output - target
        return (error**4).sum(axis=1), 4 * error**3

    def curvature(self, output, target, direction):
        return 12 * (output - target) ** 2 * direction


class CurvedLogProbability(LogProbability):
    def curvature(self, output, label, direction):
        p = np.exp(output)
        p /= p.sum(axis=1, keepdims=True)
        return p * (direction - (p * direction).sum(axis=1, keepdims=True))


CURVED = {
    "compiled": cr.CompiledLoss(fourth, curvature=fourth_curvature),
    "compiled by the user": cr.CompiledLoss(njit(fourth), curvature=njit(fourth_curvature)),
    "NumPy": Fourth(),
    "labels": CurvedLogProbability(),
}


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("loss", CURVED.values(), ids=CURVED)
def test_second_derivatives(loss, backend):
    first = cr.Linear(4, 4), cr.Tanh()
    options = {"seed": 0, "dtype": "float64", "backend": backend}
    x, y = batch(20, 4), target_for(loss)
    weights = np.random.default_rng(2).uniform(0, 2, 20)
    net = cr.Sequential(*first, cr.Linear(4, 3), **options)
    assert cr.gradgradcheck(net, loss, x, y, sample_weight=weights).passed
    net = cr.Sequential(*first, cr.Branch(cr.Linear(4, 1), cr.Linear(4, 3)), **options)
    both = cr.MultiLoss(cr.MSELoss(), loss, weights=(2, 3))
    assert cr.gradgradcheck(net, both, x, (batch(20, 1), y)).passed


def test_a_custom_curvature_is_that_of_the_built_in_loss():
    net = cr.Sequential(cr.Linear(4, 3), seed=0, dtype="float64")
    x, y = batch(20, 4), target_for(CURVED["labels"])
    for product in (cr.hvp, cr.gauss_newton_vp):
        found = [
            product(net, loss, x, y, net.params)
            for loss in (CURVED["labels"], cr.CrossEntropyLoss())
        ]
        np.testing.assert_allclose(*found, rtol=1e-10, atol=1e-14)


def test_a_custom_loss_has_no_fisher_information():
    net = cr.Sequential(cr.Linear(4, 3), seed=0)
    for loss in CURVED.values():
        with pytest.raises(NotImplementedError, match="no Fisher information"):
            cr.fisher_vp(net, loss, batch(20, 4), net.params)


def test_an_error_in_a_curvature_comes_out_with_a_note():
    class Fails(Fourth):
        def curvature(self, output, target, direction):
            return direction[0]

    net = cr.Sequential(cr.Linear(4, 3), seed=0)
    with pytest.raises(ValueError, match="returned a wrong d_gradient: its shape") as caught:
        cr.hvp(net, Fails(), batch(5, 4), batch(5, 3), net.params)
    assert "It was raised in the curvature of Fails" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("curvature", "message"),
    [
        (3, "curvature must be a function, not 3"),
        (lambda output, direction: 0, "must take 'd_gradient'"),
        (lambda output, d_gradient: 0, "must take 'direction', on which its result depends"),
        (lambda label, direction, d_gradient: 0, "takes 'label', but there is only output, target"),
    ],
)
def test_wrong_curvatures(curvature, message):
    with pytest.raises(TypeError, match=message):
        cr.CompiledLoss(fourth, curvature=curvature)


def test_a_numpy_curvature_takes_what_forward_takes():
    with pytest.raises(TypeError, match=r"curvature must take \(self, output, target, direction\)"):

        class Other(Fourth):
            def curvature(self, output, label, direction):
                return 0

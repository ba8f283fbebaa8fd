"""Several inputs that are wrong: errors say which, and change nothing."""

import numpy as np
import pytest
from several_inputs import Problem

import chainrule as cr

X1, X2 = np.ones((6, 2)), np.ones((6, 3))


def with_nan():
    array = X2.copy()
    array[4, 1] = np.nan
    return array


def two():
    return cr.Sequential(cr.Inputs(cr.Linear(2, 4), cr.Linear(3, 4)), cr.Linear(8, 1), seed=0)


WRONG = {
    "another number of rows": (
        (X1, X2[:5]),
        r"{0} must have arrays with the same number of rows, but {0}\[0\] has 6 rows and {0}\[1\] "
        r"has 5\.",
    ),
    "one array": (
        X1,
        r"{0} must be a tuple of 2 arrays, one for each input of the network, but it is an array "
        r"of shape \(6, 2\)\.",
    ),
    "three arrays": ((X1, X2, X2), r"{0} must be a tuple of 2 arrays, .*it is a tuple of 3\."),
    "rows": (X1.tolist(), r"{0} must be a tuple of 2 arrays, .*it is a list of 6\."),
    "a dict": (
        {"one": X1, "other": X2},
        r"{0} must be a tuple of 2 arrays, .* is a dict of 2\. Give its arrays as a tuple, in the",
    ),
    "another shape": (
        (X1, X1),
        r"Linear\(3, 4\) \(layer 0\.1\) expects 3 input features, but {0}\[1\] has shape \(n, 2\)",
    ),
    "NaN": ((X1, with_nan()), r"{0}\[1\] must be finite, but {0}\[1\]\[4, 1\] is nan\."),
    "one sample": ((X1[0], X2[0]), r"{0}\[0\] must have shape \(n, features\)"),
    "an empty axis": ((X1, X2[:, :0]), r"{0}\[1\] must have no empty axis"),
    "no rows": ((X1[:0], X2[:0]), r"{0}\[0\] must have at least one row"),
}


def test_the_wrong_input_is_named_behind_layers_that_take_any_shape():
    image = [cr.Rescale(1 / 255), cr.Tanh(), cr.Dropout(0.5), cr.Conv2d(1, 2, 3), cr.Flatten()]
    net = cr.Sequential(cr.Inputs(cr.Linear(3, 2), cr.Sequential(*image)), cr.Linear(4, 1), seed=0)
    table, images = np.ones((6, 3)), np.ones((6, 3, 3, 1))
    assert net.predict((table, images)).shape == (6, 1)
    with pytest.raises(ValueError, match=r"Conv2d\(1, 2, 3\) .*, but X\[1\] has shape \(n, 3\)"):
        net.predict((table, table))
    # Where a layer is made for a shape, the next one's error is about its output.
    with pytest.raises(
        ValueError, match=r"Linear\(4, 1\) .*, but Tanh\(\) \(layer 1\) gives shape"
    ):
        cr.Sequential(cr.Linear(3, 3), cr.Tanh(), cr.Linear(4, 1), seed=0)


def calls(net):
    y, loss = np.zeros((6, 1)), cr.MSELoss()
    step = cr.train_step(net, loss, cr.SGD())
    return {
        "predict": ("X", net.predict),
        "forward": ("x", net.forward),
        "fit": ("X", lambda x: cr.fit(net, x, y, loss=loss, epochs=1, progress=False)),
        "validation": (
            "validation X",
            lambda x: cr.fit(
                net, (X1, X2), y, loss=loss, epochs=1, validation=(x, y), progress=False
            ),
        ),
        "train_step": ("x", lambda x: step(x, y)),
        "value_and_grad": ("x", lambda x: cr.value_and_grad(net, loss)(net.params, x, y)),
        "jvp": ("x", lambda x: cr.jvp(net, x, net.params)),
        "jacobian": ("x", lambda x: cr.jacobian(net, x)),
        "gradcheck": ("x", lambda x: cr.gradcheck(net, loss, x, y)),
    }


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("called", calls(two()))
@pytest.mark.parametrize("before", [False, True])
def test_a_wrong_tuple_is_an_error_that_changes_nothing(wrong, called, before):
    net = two()
    params, grads = net.params.copy(), net.grads.copy()
    name, function = calls(net)[called]
    if before:  # what a right call prepares does not take a wrong one
        function((X1, X2))
        params, grads = net.params.copy(), net.grads.copy()
    x, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message.format(name)):
        function(x)
    assert (net.params == params).all()
    assert (net.grads == grads).all()


def test_a_tuple_of_arrays_for_one_input_is_an_error():
    net = cr.Sequential(cr.Linear(2, 1), seed=0)
    for x in ((X1, X2), (X1, X1), [X1, X2], [X1, X1[:4]]):
        with pytest.raises(
            ValueError, match=r"X must be one array, as the network has one input, bu"
        ):
            net.predict(x)
    # Numbers and rows in lists or tuples are one array, as in NumPy.
    rows = [[1.0, 2.0], [3.0, 4.0]]
    expected = net.predict(np.array(rows))
    for x in (rows, tuple(rows), tuple(map(tuple, rows)), tuple(map(np.array, rows))):
        assert (net.predict(x) == expected).all()
    images = cr.Sequential(cr.Flatten(), cr.Linear(12, 1), seed=0)
    assert images.predict(list(np.ones((5, 3, 4)))).shape == (5, 1)


def test_directions_and_gradients_are_tuples():
    p = Problem("three")
    with pytest.raises(ValueError, match="tangent must be a tuple of 3 arrays, one for each input"):
        cr.jvp(p.net, p.x, p.u[0], "x")
    with pytest.raises(ValueError, match=r"tangent\[1\] must have shape \(13, 3\), but its shape "):
        cr.jvp(p.net, p.x, (p.u[0], p.u[0], p.u[2]), "x")
    with pytest.raises(ValueError, match=r"vector\[1\]\[2\] must have shape \(13, 1\), but"):
        cr.hvp(p.net, p.loss, p.x, p.y, (p.v, (*p.u[:2], p.u[0])), ("params", "x"))


@pytest.mark.parametrize(
    "layers",
    [
        lambda own: [cr.Linear(2, 2), own],
        lambda own: [cr.Parallel(own, cr.Linear(2, 2))],
        lambda own: [cr.Residual(own)],
        lambda own: [cr.Inputs(own, cr.Identity())],
        lambda own: [cr.Branch(own, own)],
        lambda own: [own, own],
    ],
)
def test_inputs_are_first(layers):
    own = cr.Inputs(cr.Linear(2, 2), cr.Linear(2, 2))
    with pytest.raises(
        ValueError, match=r"Inputs \(layer .*\) takes the network's inputs: it must"
    ):
        cr.Sequential(*layers(own))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="Inputs needs at least two parts"):
        cr.Inputs(cr.Identity())
    with pytest.raises(TypeError, match="Part 1 of Inputs is no layer"):
        cr.Inputs(cr.Identity(), [cr.Identity()])
    with pytest.raises(
        ValueError, match="Inputs' combine must be 'sum', 'concatenate' or 'product'"
    ):
        cr.Inputs(cr.Identity(), cr.Identity(), combine="mean")
    with pytest.raises(
        ValueError, match=r"expects parts whose shapes differ in nothing but the las"
    ):
        two().output_shape(((5, 2), (3,)))
    with pytest.raises(
        ValueError, match="has 2 inputs: the shape of a row must be a tuple of 2 sha"
    ):
        two().output_shape((2,))
    with pytest.raises(ValueError, match=r"but input_shape\[1\] has shape \(n, 4\)"):
        two().output_shape(((2,), (4,)))

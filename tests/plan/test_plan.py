"""Plans: what is fused, where buffers lie, what a plan holds."""

from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule.kernels.context import Section
from chainrule.operations.operation import find
from chainrule.plan.arena import Lifetime, arrange
from chainrule.plan.argument import number


def calls(net, shape, **options):
    """Return what each call of a forward pass does: one operation, or one with the next one."""
    plan = net.make_plan(shape, 8, **options)
    done = []
    for i, step in enumerate(plan.steps):
        if i in plan.fused:
            done[-1] += f" + {step.operation.name}"
        else:
            done.append(step.operation.name)
    begin, end = plan.sections[Section.FORWARD : Section.FORWARD + 2]
    assert len(done) == end - begin
    return done


def test_a_plan_is_a_table_of_integers():
    plan = cr.Sequential(cr.Linear(4, 3), cr.ReLU(), seed=0).make_plan((4,), 8)
    assert (plan.table.dtype, plan.table.ndim) == (np.int64, 2)
    assert len(plan.table) == len(plan.program) == plan.sections[-1]
    assert not plan.table[:, 0].any()  # the functions' addresses differ from process to process
    assert (plan.input_shape, plan.output_shape, plan.batch) == ((4,), (3,), 8)


@pytest.mark.parametrize("name", sorted(find("linear").fuse))
def test_what_can_be_fused_has_its_derivative_by_its_output(name):
    operation = find(name)
    assert operation.operands == ("x",)
    assert all("x" not in function.names for function in operation.backward_of("x"))


def test_a_linear_step_and_relu_are_fused():
    assert calls(cr.Sequential(cr.Linear(4, 3), cr.ReLU()), (4,)) == ["linear + relu"]


@pytest.mark.parametrize("layer", [cr.GELU(), cr.SiLU(), cr.Softmax()])
def test_activation_that_needs_its_input_is_not_fused(layer):
    assert len(calls(cr.Sequential(cr.Linear(4, 3), layer), (4,))) == 2


def test_only_one_activation_is_fused():
    net = cr.Sequential(cr.Linear(4, 3), cr.ReLU(), cr.ReLU())
    assert calls(net, (4,)) == ["linear + relu", "relu"]


def test_what_others_take_too_is_not_fused_away():
    block = cr.Residual(cr.Linear(4, 4), cr.ReLU())
    assert calls(cr.Sequential(block), (4,)) == ["linear + relu", "add"]
    alone = ["linear", "relu"]
    shortcut = cr.Sequential(cr.Linear(4, 4), cr.Residual(cr.ReLU()))
    assert calls(shortcut, (4,)) == [*alone, "add"]
    heads = cr.Sequential(cr.Linear(4, 4), cr.Branch(cr.Identity(), cr.ReLU(), cr.ReLU()))
    assert calls(heads, (4,)) == [*alone, "relu"]
    # Two outputs need memory of their own.
    same = cr.Sequential(cr.Linear(4, 4), cr.Branch(cr.Identity(), cr.Identity()))
    assert calls(same, (4,)) == ["linear", "rescale"]


def test_the_gather_takes_no_rescale_that_lies_beside_a_shortcut():
    first = cr.Sequential(cr.Rescale(0.5), cr.Residual(cr.ReLU())).make_plan((4,), 8)
    assert first.gathered == (0,)
    beside = cr.Sequential(cr.Residual(cr.Rescale(0.5))).make_plan((4,), 8)
    assert beside.gathered == ()


def test_flatten_and_identity_cost_nothing():
    net = cr.Sequential(cr.Flatten(), cr.Identity(), cr.Linear(6, 2), cr.Identity(), cr.ReLU())
    assert calls(net, (2, 3)) == ["linear + relu"]


def test_the_gather_takes_a_first_rescale_in():
    net = cr.Sequential(cr.Flatten(), cr.Rescale(2.0, offset=3.0), cr.Linear(6, 2), cr.Rescale(0.5))
    plan = net.make_plan((2, 3), 8)
    assert [step.operation.name for step in plan.steps] == ["linear", "rescale"]
    (gather,) = plan.program[: plan.sections[Section.GATHER + 1]]
    given = dict(zip(gather.function.names, gather.arguments, strict=True))
    assert [given[name] for name in ("scale", "offset")] == [number(2.0), number(3.0)]
    layers = [step.layers for step in plan.steps]
    assert (plan.gathered, layers, plan.input_shape) == ((1,), [[2], [3]], (2, 3))


def test_fused_and_unfused_agree():
    x = np.random.default_rng(0).normal(size=(8, 4))
    fused = cr.Sequential(cr.Linear(4, 3), cr.ReLU(), cr.Linear(3, 2), seed=0, dtype="float64")
    first = cr.Sequential(cr.Linear(4, 3), seed=0, dtype="float64")
    second = cr.Sequential(cr.ReLU(), cr.Linear(3, 2), seed=0, dtype="float64")
    assert calls(fused, (4,)) == ["linear + relu", "linear"]
    first.params = fused.params[:15]
    second.params = fused.params[15:]
    out = fused.forward(x)
    assert np.array_equal(out, second.forward(first.forward(x)))
    dx = fused.backward(out)
    assert np.array_equal(dx, first.backward(second.backward(out)))
    assert np.array_equal(fused.grads, np.concatenate([first.grads, second.grads]))


def test_buffers_alive_together_never_overlap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lives = {}
        for key in range(12):
            first, last = sorted(rng.integers(0, 10, 2).tolist())
            lives[key] = Lifetime(int(rng.integers(1, 500)), first, last)
        offsets, size = arrange(lives)
        for a, life in lives.items():
            assert offsets[a] % 64 == 0
            assert offsets[a] + life.size <= size
            for b, other in lives.items():
                if a < b and life.first <= other.last and other.first <= life.last:
                    end, start = offsets[a] + life.size, offsets[b]
                    assert end <= start or start + other.size <= offsets[a]


def test_prediction_needs_less_memory_than_training():
    net = cr.Sequential(*[cr.Linear(64, 64) for _ in range(10)], seed=0)
    training, prediction = (net.make_plan((64,), 32, backward=b) for b in (True, False))
    values = 4 * 32 * 64  # bytes of one layer's
    (_, scratch) = training.scratch
    assert prediction.arena_bytes - scratch <= 3 * values
    assert training.arena_bytes - scratch < 2 * 11 * values  # gradients share two places


def test_gradients_survive_in_a_deep_network_of_mixed_widths():
    widths = [3, 17, 2, 29, 5, 1, 11, 4]
    layers = []
    for a, b in pairwise(widths):
        layers += [cr.Linear(a, b), cr.SiLU(), cr.Softplus()]
    net = cr.Sequential(*layers, seed=0)
    x = np.random.default_rng(0).normal(size=(6, 3))
    assert cr.gradcheck(net, cr.MSELoss(), x, np.ones((6, 4))).passed


def test_a_plan_that_keeps_everything_fuses_nothing_and_shares_no_memory():
    layers = cr.Rescale(2.0), cr.Linear(4, 3), cr.ReLU(), cr.Linear(3, 2), cr.Tanh()
    plan = cr.Sequential(*layers, seed=0).make_plan((4,), 8, retain=True)
    assert [step.layers for step in plan.steps] == [[0], [1], [2], [3], [4]]
    assert plan.gathered == ()
    assert calls(cr.Sequential(*layers, seed=0), (4,), retain=True) == [
        *("rescale", "linear", "relu", "linear", "tanh")
    ]
    sizes = [step.y.size * 8 for step in plan.steps]
    starts = [plan.value_of(step.y).start for step in plan.steps]
    starts += [plan.gradient_of(step.y).start for step in plan.steps]
    places = sorted(zip(starts, [*sizes, *sizes], strict=True))
    places += [(plan.arena_bytes // plan.item, 0)]
    assert all(start + size <= after for (start, size), (after, _) in pairwise(places))


def test_the_output_shape_without_a_plan():
    net = cr.Sequential(cr.Linear(3, 5), cr.Flatten(), seed=0)
    assert net.output_shape((2, 3)) == net.make_plan((2, 3), 1).output_shape == (10,)
    with pytest.raises(ValueError, match="expects 3 input features"):
        net.output_shape((4,))

"""Plans: what is fused, where buffers lie, what a plan holds."""

from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule.autodiff.plans import derivatives_plan
from chainrule.engine.machine import Machine
from chainrule.engine.records import NOTHING, make_data
from chainrule.engine.update import Run, UpdateOptions, UpdateProgram
from chainrule.kernels.argument import Rows
from chainrule.kernels.context import ARENA, Flag, Phase, Section
from chainrule.operations.operation import Operation, ParameterUse, find, function
from chainrule.plan import Head, PlanBuilder, Tensor, make_plan
from chainrule.plan.arena import Lifetime, arrange
from chainrule.plan.argument import Constants, number, rows_of
from chainrule.plan.call import gradient


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


@pytest.mark.parametrize("rows", [32, 64])
@pytest.mark.parametrize("trained", [True, False])
def test_with_several_threads_a_barrier_lies_between_buffers_that_share_memory(rows, trained):
    """As one thread may have done all calls up to a barrier before another does the first."""
    block = [cr.Conv2d(4, 4, 3, padding=1), cr.BatchNorm(4), cr.ReLU(), cr.MaxPool2d(2)]
    net = cr.Sequential(
        cr.Conv2d(3, 4, 3, padding=1), *block, cr.Residual(*block[:3]), *block, cr.Flatten(),
        cr.Linear(64, 9), cr.BatchNorm(9), seed=0,
    )  # fmt: skip
    plan = net.make_plan(
        (16, 16, 3), rows, loss=cr.MSELoss() if trained else None, backward=trained, steps=10_000,
        threads=2, training=trained,
    )  # fmt: skip
    assert plan.threads == 2
    uses, moment = {}, 0  # of each buffer: where it begins and ends; and when it is read or written
    for last in (False, True):  # gradients by parameters come at the end, behind a barrier
        moment += last
        for call in plan.program:
            if bool(call.flags & Flag.PARAMETERS) != last:
                continue
            # What is needed for the input's gradient only is left out, with its barriers.
            moment += bool(call.flags & Flag.BARRIER and not call.flags & Flag.FOR_INPUT)
            for kind, base, place, words in call.arguments:
                if base == ARENA and not isinstance(place, Constants):
                    size = {Rows.SLICE: rows, Rows.BATCH: rows, Rows.CHUNK: plan.chunks}
                    if kind.rows in size:
                        end = plan.places[place] + words[0] * size[kind.rows]
                        uses.setdefault((plan.places[place], end, place), set()).add(moment)
    shared = 0
    for (start, end, place), moments in uses.items():
        for (other_start, other_end, other), others in uses.items():
            if place != other and start < other_end and other_start < end:
                assert max(moments) < min(others) or max(others) < min(moments)
                shared += 1
    assert shared > 0 or not trained


def test_gradients_of_small_kernels_are_computed_by_chunks():
    """So that no thread reads images that another one has written."""
    net = cr.Sequential(
        cr.Conv2d(3, 8, 3), cr.Conv2d(8, 8, 3, groups=8), cr.ConvTranspose2d(8, 32, 3, stride=2),
        cr.Conv2d(32, 128, 5, stride=5), cr.Conv2d(128, 256, 3), seed=0,
    )  # fmt: skip

    def flags_of(**options):
        plan = net.make_plan((16, 16, 3), 64, loss=cr.MSELoss(), **options)
        gradients = [call for call in plan.program if call.function.names[-1][:2] == "d_"]
        return plan, [call.flags for call in gradients if call.function.names[0] in ("x", "dy")]

    plan, flags = flags_of()
    by_chunks, by_rows = Flag.VALUES | Flag.CHUNKED | Flag.FOR_PARAMETERS, Flag.PARAMETERS
    assert flags == [by_rows] * 2 + [by_chunks] * 5  # of the last layer first
    assert plan.chunks == 8
    _, flags = flags_of(retain=True)
    assert flags == [by_rows] * 7
    plan = net.make_plan((16, 16, 3), 4096, backward=False)
    assert plan.chunks == 512


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


# What a plan refuses, or leaves out

FLOAT64 = np.dtype("float64")


def plan_of(builder, x, heads, **options):
    return make_plan(builder, [x], heads, batch=4, dtype=FLOAT64, **{"offsets": {}} | options)


def test_the_gather_does_no_rescale_of_a_seed():
    builder, x, seed = PlanBuilder(), Tensor((2,)), Tensor((2,))
    head = Head(builder.rescale(seed, 3.0))
    plan = plan_of(builder, x, [head], seeds=[seed], backward=False)
    machine = Machine(plan, FLOAT64, "numba")
    machine.rows_at("seed", 4)[...] = 2.0
    machine.run(Phase.FORWARD, 4, NOTHING[FLOAT64].vectors, make_data(FLOAT64, np.ones((4, 2))))
    assert (machine.rows_at("output", 4) == 6.0).all()


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_gradient_by_an_input_that_no_output_depends_on_is_0_and_takes_no_memory(scale):
    builder, x, seed = PlanBuilder(), Tensor((2,)), Tensor((2,))
    builder.rescale(x, scale)
    plan = plan_of(builder, x, [Head(builder.rescale(seed, 3.0))], seeds=[seed])
    assert gradient(plan.inputs[0]) not in plan.places
    machine = Machine(plan, FLOAT64, "numba")
    machine.arena[...] = 7.0
    machine.run(Phase.FORWARD, 4, NOTHING[FLOAT64].vectors, make_data(FLOAT64, np.ones((4, 2))))
    machine.start_back_with([1.0], 4)
    machine.run(Phase.BACKWARD | Phase.INPUT_GRADIENT, 4, NOTHING[FLOAT64].vectors)
    assert (machine.rows_at("d_input", 4) == np.zeros((4, 2))).all()
    assert ("d_input", 0) in plan_of(builder, x, [Head(builder.rescale(x, 2.0))]).named


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"numbers": {"negative_slope": 0.1, "slop": 0.2}}, "slop"),
        ({"parameters": {"weight": ParameterUse("weight", (2,))}}, "weight"),
        ({"saved": {"mask": (2,)}}, "mask"),
    ],
)
def test_what_no_function_of_an_operation_takes_is_refused(given, name):
    with pytest.raises(ValueError, match=f"^leaky_relu takes no '{name}'"):
        PlanBuilder().apply("leaky_relu", Tensor((2,)), **given)


def test_what_functions_take_must_be_given():
    builder, x = PlanBuilder(), Tensor((2,))
    y = builder.apply("leaky_relu", x)
    with pytest.raises(ValueError, match="leaky_relu's functions take 'negative_slope'"):
        plan_of(builder, x, [Head(y)])
    with pytest.raises(ValueError, match="huber's functions take 'delta'"):
        plan_of(PlanBuilder(), x, [Head(x, find("huber"), target_shape=(2,))])
    with pytest.raises(ValueError, match="sgd's functions take 'momentum'"):
        UpdateProgram(4, FLOAT64, UpdateOptions(), "sgd", {"nesterov": False}, [Run(0, 4, 0.0)])


def test_a_parameter_must_have_a_gradient():
    def scale(x, weight, y): ...
    def scale_backward(dy, weight, dx): ...

    operation = Operation("scale", function(scale), {"x": function(scale_backward)})
    builder, x = PlanBuilder(), Tensor((2,))
    y = builder.apply(operation, x, parameters={"weight": ParameterUse("weight", (2,))})
    plan_of(builder, x, [Head(y)], offsets={"weight": 0}, backward=False)
    with pytest.raises(ValueError, match=r"^scale has no gradient by its 'weight'"):
        plan_of(builder, x, [Head(y)], offsets={"weight": 0})


def test_a_loss_that_weighs_rows_has_weights_of_its_own_beside_others():
    builder, x = PlanBuilder(), Tensor((2,))
    numbers = {"class_weight": (1.0, 2.0), "label_smoothing": 0.0}
    counted = Head(x, find("weighted_cross_entropy"), numbers)
    others = Head(builder.rescale(x, 2.0), find("mse"), target_shape=(2,))

    def names(heads):
        return [call.function.code.__name__ for call in plan_of(builder, x, heads).program]

    assert "add_up_weights" in names([counted, Head(others.output)])
    assert "normalize_weights" in names([counted, others])
    assert "add_up_weights" not in names([counted, others])


def test_rows_have_no_more_axes_than_they_have():
    assert rows_of(ARENA, "buffer", (), 8, ndim=1).kind.ndim == 1
    with pytest.raises(ValueError, match=r"rows of shape \(\) are an array of 1 axes, not of 2"):
        rows_of(ARENA, "buffer", (), 8, ndim=2)


@pytest.mark.parametrize("layer", [cr.PReLU(), cr.ReLU(), cr.Tanh(), cr.GLU(), cr.Softmax()])
def test_a_backward_pass_reads_no_gradient_that_nobody_has_written(layer):
    net = cr.Sequential(cr.Linear(2, 4), layer, cr.Linear(2 if layer == cr.GLU() else 4, 1))
    plan = derivatives_plan(net, (2,), 8, threads=1, derivatives=((0,),), backward=True)
    written = {gradient(head.output) for head in plan.heads}
    begin, end = plan.sections[Section.BACKWARD : Section.BACKWARD + 2]
    for call in plan.program[begin:end]:
        by_name = dict(zip(call.function.names, call.arguments, strict=True))
        if "dy" in by_name:
            assert by_name.pop("dy").place in written
        written |= {argument.place for name, argument in by_name.items() if name[0] == "d"}

"""With PyTorch: the same outputs and gradients, and one memory of parameters."""

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest

import chainrule as cr

torch = pytest.importorskip("torch")
as_torch = cr.interop.torch.as_torch
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def pair(dtype="float64"):
    """Return the same network twice: ours, and PyTorch's."""
    net = cr.Sequential(
        cr.Linear(3, 5), cr.Tanh(), cr.Linear(5, 4), cr.GELU(), cr.Linear(4, 2), seed=0, dtype=dtype
    )
    nn = torch.nn
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 2))
    return net, model.to(DTYPES[dtype])


def random(*shape, dtype=torch.float64, **options):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, dtype=dtype, generator=generator, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_go_both_ways(dtype):
    net, model = pair(dtype)
    x = random(17, 3, dtype=DTYPES[dtype])
    cr.interop.torch.from_state_dict(net, model.state_dict())
    expected = model(x).detach().numpy()
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-6, atol=1e-6)
    net.params = -net.params
    model.load_state_dict(cr.interop.torch.to_state_dict(net))
    expected = model(x).detach().numpy()
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-6, atol=1e-6)


def test_half_precision_and_gpu_like_states():
    net, model = pair("float32")
    state = {name: tensor.bfloat16() for name, tensor in model.state_dict().items()}
    cr.interop.torch.from_state_dict(net, dict(model.bfloat16().named_parameters()))
    assert torch.equal(cr.interop.torch.to_state_dict(net)["0.bias"], state["0.bias"].float())
    with pytest.raises(TypeError, match="real numbers, but its dtype is complex64"):
        cr.interop.torch.from_state_dict(net, state | {"0.bias": 1j * state["0.bias"].float()})


def test_module_has_the_names_and_the_memory():
    net, model = pair()
    module = as_torch(net)
    assert list(module.state_dict()) == list(model.state_dict())
    module.load_state_dict(model.state_dict())
    x = random(6, 3)
    torch.testing.assert_close(torch.from_numpy(net.predict(x)), model(x).detach())
    with torch.no_grad():
        module.get_parameter("4.bias").fill_(7)
    assert (net.parameters()["4.bias"] == 7).all()


NETWORKS = {
    "chain": lambda: pair()[0],
    "graph": lambda: cr.Sequential(
        cr.Residual(cr.Linear(3, 3, bias=False), cr.SiLU()),
        cr.Parallel(cr.Linear(3, 2), cr.Sequential(cr.Linear(3, 2), cr.Sigmoid()),
                    combine="product"),
        seed=0, dtype="float64",
    ),
    "shared": lambda: cr.Sequential(*2 * [cr.Shared(cr.Linear(3, 3), cr.Tanh())], seed=0,
                                    dtype="float64"),
    "heads": lambda: cr.Sequential(
        cr.Linear(3, 4), cr.Softplus(), cr.Branch(cr.Linear(4, 2), cr.Identity()), seed=0,
        dtype="float64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", NETWORKS)
def test_gradients(kind):
    module = as_torch(NETWORKS[kind]())
    x = random(3, 4, requires_grad=True)
    inputs = x, *module.parameters()
    assert torch.autograd.gradcheck(lambda x, *parameters: module(x.T), inputs)


def test_one_head_may_be_left_out():
    module = as_torch(NETWORKS["heads"]())
    module(random(4, 3))[1].sum().backward()
    assert module.get_parameter("2.0.weight").grad.abs().sum() == 0
    assert module.get_parameter("0.weight").grad.abs().sum() > 0


def test_several_forwards_before_a_backward():
    net, model = pair()
    module = as_torch(net)
    module.load_state_dict(model.state_dict())
    batches = [random(rows, 3) + rows for rows in (5, 5, 9)]
    for one in (module, model):
        losses = [one(x).square().sum() for x in batches]
        losses[1].backward(retain_graph=True)
        losses[1].backward()
        (losses[0] + losses[2]).backward()
    for ours, theirs in zip(module.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_backward_after_a_change_is_that_of_its_forward():
    net, model = pair()
    module = as_torch(net)
    module.load_state_dict(model.state_dict())
    x = random(5, 3)
    loss = module(x).square().sum()
    net.params = 0 * net.params
    loss.backward()
    model(x).square().sum().backward()
    for ours, theirs in zip(module.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def penalty(module, x):
    (dx,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    return dx.square().sum()


SECOND = {
    "backward": lambda module, x: penalty(module, x).backward(),
    "grad by x": lambda module, x: torch.autograd.grad(penalty(module, x), x),
    "grad by a parameter": lambda module, x: torch.autograd.grad(
        penalty(module, x), module.get_parameter("0.weight")
    ),
    # PyTorch would take what it does not reach from x for 0.
    "on another way as well": lambda module, x: torch.autograd.grad(
        penalty(module, x) + x.square().sum(), x
    ),
    "unused": lambda module, x: torch.autograd.grad(penalty(module, x), x, allow_unused=True),
    "of what is linear in the output": lambda module, x: torch.autograd.grad(
        torch.autograd.grad(module(x).sum(), x, create_graph=True)[0].sum(), x, allow_unused=True
    ),
    "hessian": lambda module, x: torch.autograd.functional.hessian(
        lambda x: module(x).square().sum(), x
    ),
}


@pytest.mark.parametrize("how", SECOND)
def test_second_derivatives_are_refused(how):
    with pytest.raises(RuntimeError, match="PyTorch cannot compute second derivatives"):
        SECOND[how](as_torch(pair()[0]), random(5, 3, requires_grad=True))


def by_tangent(module, x):
    with torch.autograd.forward_ad.dual_level(), torch.no_grad():
        module(torch.autograd.forward_ad.make_dual(x, x))


def loss_of(module, x):
    return lambda parameters: torch.func.functional_call(module, parameters, (x,)).sum()


TRANSFORMED = {
    "grad": lambda module, x: torch.func.grad(lambda x: module(x).sum())(x),
    "grad by parameters": lambda module, x: torch.func.grad(loss_of(module, x))(
        dict(module.named_parameters())
    ),
    "grad by what comes later": lambda module, x: torch.func.grad(lambda a: module(x).sum() * a)(
        torch.ones(())
    ),
    "vjp": lambda module, x: torch.func.vjp(module, x),
    "jvp": lambda module, x: torch.func.jvp(module, (x,), (x,)),
    "vmap": lambda module, x: torch.func.vmap(module)(x[:, None]),
    "vmap without gradients": lambda module, x: torch.no_grad()(torch.func.vmap(module))(
        x[:, None]
    ),
    "jacrev": lambda module, x: torch.func.jacrev(module)(x),
    "jacfwd": lambda module, x: torch.func.jacfwd(module)(x),
    "batched gradients": lambda module, x: torch.autograd.functional.jacobian(
        module, x, vectorize=True
    ),
    "forward mode": by_tangent,
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # which forward mode uses
@pytest.mark.parametrize("how", TRANSFORMED)
def test_transforms_are_refused(how):
    with pytest.raises(RuntimeError, match="do not support a chainrule network: use"):
        TRANSFORMED[how](as_torch(pair()[0]), random(5, 3))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_export_is_refused():
    model, x = torch.nn.Sequential(as_torch(pair()[0])), random(5, 3)
    for export in (
        lambda: torch.export.export(model, (x,)),
        lambda: torch.jit.trace(model, x),
        lambda: torch.jit.trace(model, x, check_trace=False),  # would hold a constant
        lambda: torch.jit.script(model),
    ):
        with pytest.raises(RuntimeError, match=r"net\.to_onnx\(path\) writes it as ONNX"):
            export()


def among_torch_layers():
    torch.manual_seed(0)
    net = cr.Sequential(cr.Linear(8, 8), cr.Tanh(), cr.Linear(8, 8), seed=0)
    return torch.nn.Sequential(torch.nn.Linear(3, 8), as_torch(net), torch.nn.Linear(8, 1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler, about itself
def test_compiled_models_train_as_others_do():
    plain, inner = among_torch_layers(), among_torch_layers()
    x = random(16, 3, dtype=torch.float32)
    for model in (plain, torch.compile(inner, backend="eager")):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    assert all(map(torch.equal, plain.parameters(), inner.parameters()))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_mixed_precision(half):
    model, x = among_torch_layers(), random(16, 3, dtype=torch.float32)
    model(x).sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    with torch.autocast("cpu", dtype=half):
        model(x).sum().backward()
        with torch.no_grad():
            outputs = model[1](x[:, :1].expand(16, 8).to(half))
    assert outputs.dtype == torch.float32
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert parameter.grad.dtype == torch.float32
        torch.testing.assert_close(parameter.grad, gradient, rtol=0.05, atol=0.05)


def test_without_gradients_nothing_is_kept():
    module = as_torch(pair()[0])
    x = random(5, 3)
    assert not module.requires_grad_(False)(x).requires_grad
    module.requires_grad_(True)
    assert module(x).requires_grad
    with torch.no_grad():
        assert not module.eval()(x).requires_grad
    frozen = module.get_parameter("0.weight").requires_grad_(False)
    module(x).sum().backward()
    assert frozen.grad is None


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))]
)
def test_a_copy_has_a_network_of_its_own(copied):
    module = as_torch(pair()[0]).eval()
    module.get_parameter("2.bias").requires_grad_(False)
    twin = copied(torch.nn.Sequential(module))[0]
    assert twin.net is not module.net
    assert not twin.training
    assert not twin.get_parameter("2.bias").requires_grad
    with torch.no_grad():
        twin.get_parameter("0.bias").fill_(3)
    assert (twin.net.parameters()["0.bias"] == 3).all()
    assert (module.net.parameters()["0.bias"] != 3).all()


def out_of_band(value, folder):
    buffers = []
    content = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(content, buffers=[bytes(buffer.raw()) for buffer in buffers])


def mapped(value, folder):
    joblib.dump(value, folder / "value")
    return joblib.load(folder / "value", mmap_mode="r")


@pytest.mark.parametrize("carry", [out_of_band, mapped])
@pytest.mark.parametrize("what", [lambda net: as_torch(net), lambda net: net])
def test_a_network_from_read_only_memory_is_trained_by_torch(tmp_path, carry, what):
    net = pair()[0]
    carried = carry(what(net), tmp_path)
    module = as_torch(carried) if isinstance(carried, cr.Sequential) else carried
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module.eval()(random(4, 3)).sum().backward()
    optimizer.step()
    assert not np.array_equal(module.net.params, net.params)


def test_frozen_parameters_and_scaling_are_those_of_the_network():
    x = random(6, 3)
    scaling = cr.Standardize().adapt(x.numpy())
    net = cr.Sequential(
        scaling, cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), dtype="float64", seed=0
    )
    net.freeze("1.*")
    module, before = as_torch(net), net.parameters()["1.weight"].copy()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, weight_decay=0.1)
    assert np.array_equal(module(x).detach().numpy(), net.predict(x.numpy()))
    module(x).square().sum().backward()
    optimizer.step()
    assert np.array_equal(net.parameters()["1.weight"], before)
    assert [p.requires_grad for p in module.parameters()] == [False, False, True, True]


def test_what_would_part_module_and_network_is_refused():
    module = as_torch(pair()[0])
    for move in (module.float, module.share_memory, lambda: module.to("meta")):
        with pytest.raises(TypeError, match="stays on the CPU, in float64"):
            move()
    module.double()
    with torch.no_grad():
        module(random(2, 3))
    weighted = copy.deepcopy(module)
    torch.nn.utils.parametrizations.weight_norm(weighted.get_submodule("0"))
    module.get_parameter("0.bias").data = torch.zeros(5, dtype=torch.float64)
    for parted in (module, weighted):
        with pytest.raises(RuntimeError, match="no longer share the network's memory"):
            parted(random(2, 3))


def test_bad_input():
    module = as_torch(pair()[0])
    with pytest.raises(TypeError, match="x must be a tensor, not ndarray"):
        module(np.ones((2, 3)))
    with pytest.raises(ValueError, match="expects 3 input features"):
        module(random(2, 4))
    with pytest.raises(ValueError, match="must be finite"):
        module(random(2, 3) / 0)
    with pytest.raises(ValueError, match="d_output must be finite"):
        (module(random(2, 3)).sum() * float("nan")).backward()


def test_dropout_is_refused_in_training():
    net = cr.Sequential(cr.Linear(3, 5), cr.Dropout(), cr.Linear(5, 2), seed=0, dtype="float64")
    module, x = as_torch(net), random(4, 3)
    with pytest.raises(RuntimeError, match="draws no masks here"):
        module(x)
    np.testing.assert_array_equal(module.eval()(x).detach(), net.predict(x))


def test_batch_norm_trains_as_that_of_torch():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.Tanh(), torch.nn.LayerNorm(5),
        torch.nn.Linear(5, 2),
    ).double()  # fmt: skip
    net = cr.Sequential(
        cr.Linear(3, 5), cr.BatchNorm(5), cr.Tanh(), cr.LayerNorm(5), cr.Linear(5, 2),
        dtype="float64",
    )  # fmt: skip
    cr.interop.torch.from_state_dict(net, model.state_dict())
    x, y = random(24, 3), random(24, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        for begin in (0, 8, 16):
            optimizer.zero_grad()
            loss = torch.nn.MSELoss()(model(x[begin : begin + 8]), y[begin : begin + 8])
            loss.backward()
            optimizer.step()
    cr.fit(
        net, x.numpy(), y.numpy(), loss=cr.MSELoss(), optimizer=cr.SGD(lr=0.1, momentum=0.9),
        epochs=3, batch_size=8, shuffle=False, progress=False,
    )  # fmt: skip
    state, expected = cr.interop.torch.to_state_dict(net), model.state_dict()
    assert list(state) == list(expected)
    for name in expected:
        assert state[name].dtype == expected[name].dtype
        assert state[name].shape == expected[name].shape
        torch.testing.assert_close(state[name], expected[name], rtol=1e-9, atol=1e-12)
    model.load_state_dict(state)
    np.testing.assert_allclose(model.eval()(x).detach(), net.predict(x.numpy()), rtol=1e-10)
    module = as_torch(net)
    with pytest.raises(RuntimeError, match="BatchNorm has no statistics"):
        module(x)
    # A prediction folds BatchNorm into the layer before it.
    np.testing.assert_allclose(module.eval()(x).detach(), net.predict(x.numpy()), rtol=1e-12)
    assert list(module.state_dict()) == list(state)
    module.load_state_dict(state)
    assert dict(module.named_buffers()).keys() == net.buffers().keys()


def test_threads():
    module = as_torch(pair()[0])
    batches = [random(7, 3) + i for i in range(16)]

    def gradients(x):
        return torch.autograd.grad(module(x).square().sum(), list(module.parameters()))

    alone = list(map(gradients, batches))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(gradients, batches))
    for one, other in zip(alone, together, strict=True):
        assert all(map(torch.equal, one, other))


def test_threads_that_walk_back_from_the_same_forward():
    net = cr.Sequential(cr.Linear(64, 64), cr.Tanh(), cr.Linear(64, 64), cr.Tanh(), seed=0)
    module, x = as_torch(net), random(512, 64, dtype=torch.float32, requires_grad=True)
    with cr.threads(1):  # each of them runs in the threads that call it
        output = module(x)
    directions = [random(512, 64, dtype=torch.float32) * i for i in range(1, 41)]

    def gradients(direction):
        return torch.autograd.grad(output, x, direction, retain_graph=True)[0]

    alone = list(map(gradients, directions))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(gradients, directions))
    assert all(map(torch.equal, alone, together))


def test_training_among_torch_layers_is_that_of_torch():
    nn = torch.nn
    inner = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)).double()
    first, last = nn.Linear(3, 8).double(), nn.Linear(8, 1).double()
    net = cr.Sequential(cr.Linear(8, 8), cr.Tanh(), cr.Linear(8, 8), dtype="float64")
    cr.interop.torch.from_state_dict(net, inner.state_dict())
    ours = nn.Sequential(copy.deepcopy(first), as_torch(net), copy.deepcopy(last))
    theirs = nn.Sequential(first, inner, last)
    x, y = random(64, 3), random(64, 1)
    for model in (ours, theirs):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(20):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)
    expected = inner.state_dict()["0.weight"].numpy().T
    np.testing.assert_allclose(net.parameters()["0.weight"], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dynamo", [True, False], ids=["export", "torchscript"])
def test_what_pytorch_exports_to_onnx(tmp_path, dynamo):
    pytest.importorskip("onnxscript" if dynamo else "onnx")
    nn = torch.nn

    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 8)

        def forward(self, x):
            return x + torch.nn.functional.silu(self.inner(x))

    model = nn.Sequential(
        *(nn.Flatten(), nn.Linear(6, 8), nn.GELU(), Shortcut(), nn.Dropout()),
        *(nn.Linear(8, 8, bias=False), nn.GELU(approximate="tanh"), nn.LeakyReLU(0.2), nn.ELU()),
        *(nn.Linear(8, 3), nn.Softmax(dim=1)),
    ).eval()
    x, path = random(5, 2, 3, dtype=torch.float32), tmp_path / "model.onnx"
    how = {"dynamic_axes": {"x": {0: "batch"}}, "input_names": ["x"], "dynamo": False}
    if dynamo:
        how = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}  # tensors in a second file
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporters' own future
        torch.onnx.export(model, (x,), path, verbose=False, **how)
    net = cr.from_onnx(path)
    assert len(net.params) == sum(p.numel() for p in model.parameters())
    x = random(17, 2, 3, dtype=torch.float32)
    np.testing.assert_allclose(net.predict(x), model(x).detach(), rtol=1e-5, atol=1e-6)


def test_several_inputs_are_several_tensors():
    parts = cr.Linear(3, 4), cr.Sequential(cr.Flatten(), cr.Linear(4, 4), cr.Tanh(), seed=1)
    net = cr.Sequential(cr.Inputs(*parts), cr.Linear(8, 2), seed=0, dtype="float64")
    module = as_torch(net)
    x = random(5, 3, requires_grad=True), random(5, 2, 2, requires_grad=True)
    module(*x).square().sum().backward()
    arrays = tuple(tensor.detach().numpy() for tensor in x)
    out, pullback = cr.vjp(net, arrays)
    d_params, d_x = pullback(2 * out)
    for tensor, gradient in zip(x, d_x, strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), gradient, rtol=1e-12)
    own = net.views(d_params)
    np.testing.assert_allclose(module.get_parameter("0.0.weight").grad.T, own["0.0.weight"])
    with torch.no_grad():
        np.testing.assert_allclose(module(*x).numpy(), net.predict(arrays))
    with pytest.raises(TypeError, match=r"has 2 inputs: the module takes as many .* not 1"):
        module(x[0])
    with pytest.raises(TypeError, match=r"x\[1\] must be a tensor, not ndarray"):
        module(x[0], arrays[1])


def test_a_module_instead_of_its_state_is_told():
    net = cr.Sequential(cr.Linear(2, 3))
    message = r"not Linear: give module\.state_dict\(\)"
    with pytest.raises(TypeError, match=message):
        cr.interop.torch.from_state_dict(net, torch.nn.Linear(2, 3))

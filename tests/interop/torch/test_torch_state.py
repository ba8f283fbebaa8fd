"""PyTorch's state dicts come and go as arrays, without PyTorch; a wrong one changes nothing."""

import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import chainrule as cr
from chainrule.interop.torch import from_state_dict, save_state_dict, to_state_dict


def network(seed=0, dtype="float32"):
    step = cr.Shared(cr.Linear(4, 4), cr.Tanh())
    inner = cr.Residual(cr.Linear(4, 4, bias=False), cr.ReLU())
    return cr.Sequential(
        cr.Linear(3, 4), step, inner, step, cr.Linear(4, 2), seed=seed, dtype=dtype
    )


def chain(seed=0):
    return cr.Sequential(cr.Linear(3, 4), cr.ReLU(), cr.Linear(4, 2), seed=seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_state_comes_back(dtype, tmp_path):
    net, path = network(dtype=dtype), tmp_path / "state.safetensors"
    state = to_state_dict(net, framework="numpy")
    assert list(state)[:4] == ["0.weight", "0.bias", "1.0.weight", "1.0.bias"]
    assert "3.0.weight" in state  # the second place of what is shared
    assert state["0.weight"].shape == (4, 3)
    save_state_dict(net, path)
    assert os.listdir(tmp_path) == ["state.safetensors"]
    assert load_file(path).keys() == state.keys()
    own_names_only = {name: state[name] for name in net.parameters()}
    for given in (state, path, str(path), own_names_only):
        other = network(seed=1, dtype=dtype)
        from_state_dict(other, given)
        np.testing.assert_array_equal(other.params, net.params)
    state["0.weight"][...] = 0  # a copy
    assert net.params[0] != 0


SQUARE = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]])


def test_square_weights_are_turned(tmp_path):
    # As torch.nn.Linear(3, 3) has them: a row of outputs; F.linear([[1, 0, 2]], weight, bias) is
    # [[7.5, 16.5, 27.5]], and x @ weight would be [[15.5, 18.5, 23.5]].
    state = {"0.weight": SQUARE, "0.bias": np.full(3, 0.5)}
    save_file(state, tmp_path / "state.safetensors")
    for given in (state, tmp_path / "state.safetensors"):
        net = cr.Sequential(cr.Linear(3, 3), dtype="float64")
        from_state_dict(net, given)
        assert net.predict([[1.0, 0.0, 2.0]]).tolist() == [[7.5, 16.5, 27.5]]
        np.testing.assert_array_equal(net.parameters()["0.weight"], SQUARE.T)
    back = tmp_path / "back.safetensors"
    save_state_dict(net, back)
    for found in (to_state_dict(net, framework="numpy"), load_file(back)):
        np.testing.assert_array_equal(found["0.weight"], SQUARE)


@pytest.mark.parametrize("rename", [
    "model.{}".format,
    "a.b.{}".format,
    lambda name: name.replace("0.", "fc9.").replace("2.", "fc10."),
])  # fmt: skip
def test_names_of_other_models(rename, tmp_path):
    net = chain()
    state = {rename(k): v for k, v in to_state_dict(net, framework="numpy").items()}
    save_file(state, tmp_path / "state.safetensors")
    for given in (state, tmp_path / "state.safetensors"):
        other = chain(seed=1)
        from_state_dict(other, given)
        np.testing.assert_array_equal(other.params, net.params)


def test_names_in_order_of_appearance(tmp_path):
    net = chain()
    names = ["hidden.weight", "hidden.bias", "decoder.weight", "decoder.bias"]
    state = dict(zip(names, to_state_dict(net, framework="numpy").values(), strict=True))
    other = chain(seed=1)
    from_state_dict(other, state)
    np.testing.assert_array_equal(other.params, net.params)
    save_file(state, tmp_path / "state.safetensors")
    with pytest.raises(ValueError, match="do not determine their order"):
        from_state_dict(other, tmp_path / "state.safetensors")


def damaged(change):
    state = to_state_dict(chain(), framework="numpy")
    change(state)
    return state


@pytest.mark.parametrize(("state", "error", "message"), [
    (damaged(lambda s: s.pop("2.bias")), ValueError, r"lacks 2\.bias"),
    (damaged(lambda s: s.update({"3.weight": np.ones(2)})), ValueError, r"has 3\.weight"),
    (damaged(lambda s: s.update({"1.running_mean": np.ones(4)})), ValueError, "running_mean"),
    (damaged(lambda s: s.update({"2.weight": np.ones((4, 2))})), ValueError, r"shape \(2, 4\)"),
    (damaged(lambda s: s.update({"2.bias": np.ones(3)})), ValueError, r"2\.bias.*shape \(2,\)"),
    (damaged(lambda s: s.update({"2.bias": np.array([1, np.nan])})), ValueError, "must be finite"),
    (damaged(lambda s: s.update({"2.bias": np.array(["a", "b"])})), TypeError, "real numbers"),
    ([1, 2], TypeError, "must be a dict"),
    (chain(), TypeError, r"must be a dict of tensors, or a path, not Sequential\.$"),
    (damaged(lambda s: s.update({"4.weight": np.ones((2, 2)), "4.bias": np.ones(2)})), ValueError,
     r"it has 4\.weight, 4\.bias, which the network does not have\. Expected are 0\.weight, "),
    (damaged(lambda s: s.update({"2.scale": s.pop("2.bias")})), ValueError,
     r"it lacks 2\.bias and has 2\.scale, which the network does not have"),
    ({f"layers.{name}": 1 for name in ("0.weight", "0.bias", "2.weight", "2.bias", "3.bias")},
     ValueError, r"it has layers\.3\.bias, which the network does not have"),
    ({0: np.ones(3)}, TypeError, "names as its keys"),
    ({}, ValueError, "lacks 0.weight"),
])  # fmt: skip
def test_a_wrong_state_changes_nothing(state, error, message):
    net = chain(seed=1)
    before = net.params.copy()
    with pytest.raises(error, match=message):
        from_state_dict(net, state)
    np.testing.assert_array_equal(net.params, before)


def test_shared_parameters_have_one_value():
    state = to_state_dict(network(), framework="numpy")
    state["3.0.bias"] += 1
    with pytest.raises(ValueError, match=r"other values for 3\.0\.bias than for 1\.0\.bias"):
        from_state_dict(network(), state)


def test_bad_arguments_and_files(tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(FileNotFoundError):
        from_state_dict(chain(), path)
    path.write_bytes(b"\x08" + bytes(20))
    with pytest.raises(cr.ModelFileError, match="no safetensors file"):
        from_state_dict(chain(), path)
    with pytest.raises(ValueError, match="'torch' or 'numpy'"):
        to_state_dict(chain(), framework="jax")
    for function in (to_state_dict, cr.interop.torch.as_torch):
        with pytest.raises(TypeError, match="net must be a Sequential"):
            function(3)

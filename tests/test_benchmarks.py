"""The benchmarks compare what is the same: chainrule and NumPy by hand, workload by workload."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from benchmarks import step_profile
from benchmarks.peers.many_networks import KINDS, WORKLOAD
from benchmarks.peers.numpy_baseline import NumPy
from benchmarks.peers.xsmm import load_libxsmm
from benchmarks.step_profile import NETWORKS, Profile

from chainrule.cli.measurement.chainrule_implementation import Chainrule, ChainruleEngine
from chainrule.cli.measurement.measure import assert_same
from chainrule.cli.measurement.workloads import MEDIUM, WORKLOADS
from chainrule.kernels.jit import JIT_DISABLED

PERCEPTRONS = [name for name in MEDIUM if name != "wide" and WORKLOADS[name].is_perceptron]


@pytest.mark.parametrize("name", PERCEPTRONS)
def test_chainrule_does_what_numpy_does(name):
    workload = WORKLOADS[name]
    workload = replace(workload, epochs=2, steps=min(workload.steps, 2))
    implementations = [
        implementation
        for implementation in (Chainrule, ChainruleEngine, NumPy)
        if not implementation.refusal(workload)
    ]
    results = {
        implementation.name: implementation(workload).run(seed=0)
        for implementation in implementations
    }
    assert_same(workload, results)


def losses_of_many_networks(kind):
    return KINDS[kind](replace(WORKLOAD, epochs=2, steps=3), networks=4, threads=3).train()


def test_many_networks_have_the_same_bits_in_threads_and_in_a_loop():
    losses = losses_of_many_networks("chainrule")
    assert losses.shape == (2, 4)
    assert np.array_equal(losses, losses_of_many_networks("chainrule, a loop"))


@pytest.mark.parametrize(
    ("kind", "package"),
    [
        pytest.param(kind, package, id=package)
        for kind, package in [
            ("JAX vmap", "jax"),
            ("PyTorch vmap", "torch"),
            ("PyTorch, a loop", "torch"),
        ]
    ],
)
def test_many_networks_in_jax_and_torch_are_the_same(kind, package):
    pytest.importorskip(package)
    names = "chainrule", kind
    assert_same(WORKLOAD, {name: losses_of_many_networks(name) for name in names})


def test_another_computation_is_refused():
    workload = WORKLOADS["tiny"]
    with pytest.raises(ValueError, match="other does not do the same computation as mine"):
        assert_same(workload, {"mine": [1.0, 0.5], "other": [1.0, 0.51]})


@pytest.mark.skipif(JIT_DISABLED, reason="only compiled programs are profiled")
@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"wide", "large"}))
def test_the_profile_of_a_step_contains_all_its_products(name):
    profile = Profile()
    profile.setup(name)
    assert 2 * sum(profile.multiply_adds()) == WORKLOADS[name].flops


@pytest.mark.skipif(JIT_DISABLED, reason="only compiled programs are profiled")
def test_the_profile_of_a_step_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(step_profile, "FLOPS", 1.0)
    monkeypatch.setattr("sys.argv", ["step_profile", "--network", "tiny"])
    step_profile.main()
    printed = capsys.readouterr().out
    assert printed.startswith("tiny: ")
    assert "| adam_update |" in printed


@pytest.mark.parametrize("compiler", ["no-such-compiler", sys.executable])
def test_without_libxsmm_it_says_what_to_install(compiler, monkeypatch):
    monkeypatch.setenv("CC", compiler)
    with pytest.raises(SystemExit, match=r"apt install gcc libxsmm-dev.*: .+"):
        load_libxsmm()

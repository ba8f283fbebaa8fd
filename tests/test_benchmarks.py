"""The benchmarks compare what is the same: chainrule and NumPy by hand, workload by workload."""

import sys
from dataclasses import replace

import pytest
from benchmarks import step_profile
from benchmarks.peers.numpy_baseline import NumPy
from benchmarks.peers.xsmm import load_libxsmm
from benchmarks.step_profile import NETWORKS, Profile

from chainrule.cli.measurement.chainrule_implementation import Chainrule, ChainruleEngine
from chainrule.cli.measurement.measure import assert_same
from chainrule.cli.measurement.workloads import MEDIUM, WORKLOADS
from chainrule.kernels.jit import JIT_DISABLED


@pytest.mark.parametrize("name", [name for name in MEDIUM if name != "wide"])
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

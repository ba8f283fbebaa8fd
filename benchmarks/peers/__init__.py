"""Comparisons of chainrule with baselines: NumPy by hand, PyTorch, JAX and scikit-learn.

``python -m benchmarks.peers`` measures all workloads, and ``report`` writes the tables for docs/.
There is a module for each baseline, with subclasses of ``Implementation`` in
``chainrule.cli.measurement``; it is imported only when it is used.

The other modules compare derivatives, a differential equation, estimators, tables of numbers and of
codes, and products of matrices. asv imports all modules here, in an environment without the
baselines.
"""

from importlib.util import find_spec

# Left to right as in the tables.
IMPLEMENTATIONS = {
    "chainrule": "chainrule.cli.measurement.chainrule_implementation:Chainrule",
    "train-step": "chainrule.cli.measurement.chainrule_implementation:ChainruleStep",
    "engine": "chainrule.cli.measurement.chainrule_implementation:ChainruleEngine",
    "numpy": "benchmarks.peers.numpy_baseline:NumPy",
    "sklearn": "benchmarks.peers.sklearn_baseline:ScikitLearn",
    "torch": "benchmarks.peers.torch_baseline:PyTorch",
    "torch-compile": "benchmarks.peers.torch_baseline:CompiledPyTorch",
    "jax-step": "benchmarks.peers.jax_baseline:JaxStep",
    "jax-scan": "benchmarks.peers.jax_baseline:JaxScan",
}

PACKAGES = {"sklearn": "sklearn", "torch": "torch", "jax": "jax"}


def is_installed(name):
    """Return whether the package of a baseline is installed."""
    package = PACKAGES.get(name.partition("-")[0])
    return package is None or find_spec(package) is not None

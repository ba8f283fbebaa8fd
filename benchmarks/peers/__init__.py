"""chainrule beside NumPy by hand, PyTorch, JAX and scikit-learn: the same work by each.

``python -m benchmarks.peers`` measures all workloads, ``report`` writes tables for docs/ of what
came out. A module a peer, each with classes of the form that ``chainrule.cli.measurement.peer``
describes; they are imported when they are asked for, since hardly anybody has all of them.

The other modules compare something else each: derivatives, a differential equation, estimators,
tables, products of matrices. asv imports all modules here, in an environment without the peers.
"""

from importlib.util import find_spec

# Left to right as in the tables.
PEERS = {
    "chainrule": "chainrule.cli.measurement.chainrule_peer:Chainrule",
    "engine": "chainrule.cli.measurement.chainrule_peer:ChainruleEngine",
    "numpy": "benchmarks.peers.numpy_peer:NumPy",
    "sklearn": "benchmarks.peers.sklearn_peer:ScikitLearn",
    "torch": "benchmarks.peers.torch_peer:PyTorch",
    "torch-compile": "benchmarks.peers.torch_peer:CompiledPyTorch",
    "jax-step": "benchmarks.peers.jax_peer:JaxStep",
    "jax-scan": "benchmarks.peers.jax_peer:JaxScan",
}

PACKAGES = {"sklearn": "sklearn", "torch": "torch", "jax": "jax"}


def is_installed(peer):
    """Return whether the package that a peer stands for is there."""
    package = PACKAGES.get(peer.partition("-")[0])
    return package is None or find_spec(package) is not None

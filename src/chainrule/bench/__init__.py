"""chainrule beside NumPy by hand, PyTorch, JAX and scikit-learn: the same work by each.

A module a peer, each with classes of the form that ``peer.Peer`` describes; ``measure`` lets them
work in turn. Peers are imported when they are asked for, since hardly anybody has all of them.
"""

from importlib.util import find_spec

# Left to right as in the tables.
PEERS = {
    "chainrule": "chainrule_peer:Chainrule",
    "engine": "chainrule_peer:ChainruleEngine",
    "numpy": "numpy_peer:NumPy",
    "sklearn": "sklearn_peer:ScikitLearn",
    "torch": "torch_peer:PyTorch",
    "torch-compile": "torch_peer:CompiledPyTorch",
    "jax-step": "jax_peer:JaxStep",
    "jax-scan": "jax_peer:JaxScan",
}

PACKAGES = {"sklearn": "sklearn", "torch": "torch", "jax": "jax"}


def is_installed(peer: str) -> bool:
    """Return whether the package that a peer stands for is there."""
    package = PACKAGES.get(peer.partition("-")[0])
    return package is None or find_spec(package) is not None

"""chainrule beside NumPy by hand, PyTorch, JAX and scikit-learn: the same work by each.

A module a peer, each with classes of the form that ``peer.Peer`` describes; ``measure`` lets them
work in turn, ``report`` writes down what came out. Peers are imported when they are asked for,
because asv imports all modules here, in an environment without them. ``xsmm`` stands by itself: it
compares products of matrices.
"""

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

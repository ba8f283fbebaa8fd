"""chainrule beside NumPy by hand, PyTorch, JAX and scikit-learn: the same training by each.

A module a peer, each with classes of the form that ``peer.Peer`` describes. Peers are imported
when they are asked for, because asv imports all modules here, in an environment without them.
"""

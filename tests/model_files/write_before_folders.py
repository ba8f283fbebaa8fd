"""How the files before-folders.* beside this one were written, before modules moved into folders.

A file names layers, callbacks and optimizers, and no modules. These stay as they are.
"""

from pathlib import Path

import numpy as np

import chainrule as cr

FOLDER = Path(__file__).parent
X, Y = np.arange(48).reshape(16, 3) % 7 / 4.0, np.arange(16) % 2


def model():
    net = cr.Sequential(
        cr.Rescale(0.5),
        cr.Flatten(),
        cr.Linear(3, 4, weight_init=cr.initializers.Orthogonal()),
        cr.Dropout(0.25),
        cr.ELU(0.5),
        cr.Residual(cr.Linear(4, 4), cr.GELU()),
        cr.Parallel(cr.Softplus(), cr.SiLU(), combine="concatenate"),
        cr.Branch(cr.Sequential(cr.Linear(8, 2), cr.LogSoftmax()), cr.Linear(8, 1)),
        seed=0,
    )
    net.params = np.arange(net.params.size) % 19 / 16 - 0.5
    return net


def train(path, epochs):
    """Train, or go on from the checkpoint, and return the network, its average and the history."""
    net = cr.Sequential(
        cr.Linear(3, 4), cr.Tanh(), cr.Dropout(0.1), cr.Linear(4, 2), seed=1, dtype="float64"
    )
    average = cr.ExponentialMovingAverage(net, decay=0.9)
    history = cr.fit(
        net,
        X,
        Y,
        loss=cr.CrossEntropyLoss(),
        optimizer=cr.AdamW(0.01, weight_decay={"*.weight": 0.1}),
        epochs=epochs,
        batch_size=4,
        seed=2,
        validation=(X, Y),
        average=average,
        callbacks=[
            cr.callbacks.EarlyStopping(patience=9),
            cr.schedules.ReduceLROnPlateau(patience=1),
            cr.GradientFlow(every=2),
        ],
        progress=False,
        checkpoint=path,
        resume=True,
    )
    return net, average, history


def write():
    model().save(FOLDER / "before-folders.safetensors", {"classes": ["no", "yes"]})
    train(FOLDER / "before-folders-checkpoint.safetensors", 2)


if __name__ == "__main__":
    write()

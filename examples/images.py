"""Images
======

A small convolutional network for handwritten digits, beside a perceptron.

The digits that come with chainrule have 8 by 8 pixels. A convolution looks at each place of an
image with the same few weights, and pooling halves the image: the network needs fewer weights than
a perceptron, and finds a stroke wherever it is. ``python examples/images.py``
"""

from time import perf_counter

import numpy as np

import chainrule as cr

SEEDS, TEST_ROWS, EPOCHS = 3, 360, 30

flat, digits = cr.datasets.load_digits()
images = flat.reshape(-1, 8, 8, 1)  # height, width, channels


def perceptron(seed):
    return cr.Sequential(
        cr.Flatten(), cr.Linear(64, 64), cr.ReLU(), cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10),
        seed=seed,
    )  # fmt: skip


def convolutions(seed):
    return cr.Sequential(
        *(cr.Conv2d(1, 16, 3, padding=1), cr.ReLU(), cr.MaxPool2d(2)),
        *(cr.Conv2d(16, 32, 3, padding=1), cr.ReLU(), cr.MaxPool2d(2)),
        *(cr.Flatten(), cr.Linear(128, 10)),
        seed=seed,
    )


def errors_of(make, seed):
    """Return how many test images are taken for another digit, and the network."""
    test, train = np.split(np.random.default_rng(seed).permutation(len(images)), [TEST_ROWS])
    net = make(seed)
    cr.fit(
        net, images[train], digits[train], loss=cr.CrossEntropyLoss(), optimizer=cr.Adam(),
        schedule=cr.schedules.CosineAnnealingLR(3e-3), epochs=EPOCHS, batch_size=32, seed=seed,
        progress=False,
    )  # fmt: skip
    wrong = net.predict(images[test]).argmax(axis=1) != digits[test]
    return int(wrong.sum()), net


def main():
    errors = {}
    for make in (perceptron, convolutions):
        started = perf_counter()
        found = [errors_of(make, seed) for seed in range(SEEDS)]
        seconds = (perf_counter() - started) / SEEDS
        errors[make.__name__] = [wrong for wrong, _ in found]
        print(
            f"{make.__name__:>12}: {found[0][1].params.size:,} parameters, {errors[make.__name__]} "
            f"of {TEST_ROWS} test images wrong, {seconds:.2f} s"
        )
    return errors


if __name__ == "__main__":
    main()

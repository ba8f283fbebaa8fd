"""Train LeNet-5 on handwritten digits, with and without random shifts, and in PyTorch.

    taskset -c 0 python -m benchmarks.peers.lenet mnist.npz

The file has two arrays, ``images`` of 28 by 28 pixels and ``labels``. For each seed, a fifth of the
rows, drawn at random, is the test; both libraries draw their own initial parameters and orders, by
the same rules: batches of 32, Adam, a learning rate that falls as a cosine, smoothed labels. Both
have one thread. Their turns alternate; the time is the shortest of a seed.
"""

import argparse
from time import perf_counter

import numpy as np

import chainrule as cr
from benchmarks.peers.torch_modules import module_of
from chainrule.cli.measurement.workloads import WORKLOADS
from chainrule.datasets import load_images

BATCH, LEARNING_RATE, LABEL_SMOOTHING, MOST_PIXELS = 32, 2e-3, 0.1, 2
LENET = WORKLOADS["lenet"]


def of_chainrule(seed, X, y, test, epochs, shifts=False):
    layers = (cr.RandomShift(MOST_PIXELS), *LENET.layers) if shifts else LENET.layers
    net = cr.Sequential(*layers, seed=seed)
    cr.fit(
        net, X, y, loss=cr.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING), optimizer=cr.Adam(),
        schedule=cr.schedules.CosineAnnealingLR(LEARNING_RATE),
        epochs=epochs, batch_size=BATCH, seed=seed, progress=False,
    )  # fmt: skip
    return cr.metrics.accuracy(test[1], net.predict(test[0]))


def of_torch(seed, X, y, test, epochs):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images, labels = torch.from_numpy(X).movedim(-1, 1), torch.from_numpy(y)
    net = module_of(torch, LENET).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), LEARNING_RATE, fused=True)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    steps = epochs * -(-len(X) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(BATCH):
            optimizer.zero_grad()
            loss(net(images[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        output = net(torch.from_numpy(test[0]).movedim(-1, 1)).numpy()
    return cr.metrics.accuracy(test[1], output)


KINDS = {
    "chainrule": of_chainrule,
    "PyTorch": of_torch,
    "chainrule, shifted": lambda *arguments: of_chainrule(*arguments, shifts=True),
}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.lenet", description=__doc__)
    parser.add_argument("file", help="an .npz file with images and labels")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    cr.set_num_threads(1)
    X, y = load_images(options.file, flatten=False)
    accuracies = {kind: [] for kind in KINDS}
    seconds = dict.fromkeys(KINDS, float("inf"))
    for train in KINDS.values():  # compiles or loads
        train(0, X[:256], y[:256], (X[:256], y[:256]), 1)
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(len(X))
        test, training = np.split(order, [len(X) // 5])
        for kind, train in KINDS.items():
            started = perf_counter()
            data = X[training], y[training], (X[test], y[test])
            accuracies[kind].append(train(seed, *data, options.epochs))
            seconds[kind] = min(seconds[kind], perf_counter() - started)
    print(f"{options.epochs} epochs, {options.seeds} seeds: accuracy on the test, and seconds\n")
    print("| | mean | of each seed | seconds |\n|---|---:|---|---:|")
    for kind, found in accuracies.items():
        of_each = ", ".join(f"{100 * accuracy:.1f}" for accuracy in found)
        print(f"| {kind} | {100 * np.mean(found):.2f} % | {of_each} | {seconds[kind]:.2f} |")


if __name__ == "__main__":
    main()

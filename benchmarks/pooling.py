"""Pooling of images, in bytes a nanosecond, beside a plain copy: what memory can do.

``python -m benchmarks.pooling`` prints a table, with PyTorch's times where it is installed (its
images have channels last, too). One thread.
"""

from time import perf_counter

import numpy as np

from chainrule.operations.avg_pool import avg_pool
from chainrule.operations.max_pool import max_pool, max_pool_backward
from chainrule.operations.rescale import rescale

TWO_BY_TWO = np.array([2, 2, 2, 2, 0, 0, 1, 1], np.float32)
# (images, height, width, channels): from cache, and from memory
SHAPES = [(8, 28, 28, 16), (64, 28, 28, 16), (128, 28, 28, 6), (128, 10, 10, 16), (128, 28, 28, 1)]
CALLS = 20
ROUNDS = 10


def arrays(shape):
    n, height, width, channels = shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    y = np.empty((n, height // 2, width // 2, channels), np.float32)
    return x, y, np.ones_like(y), np.empty_like(x)


class Pooling:
    params = (list(map(str, SHAPES)), ["max", "max backward", "average"])
    param_names = ("shape", "what")
    unit = "B/ns"

    def setup(self, shape, what):
        x, y, dy, dx = arrays(next(own for own in SHAPES if str(own) == shape))
        self.call, self.bytes = {
            "max": (lambda: max_pool(x, TWO_BY_TWO, -np.inf, y), x.nbytes + y.nbytes),
            "average": (lambda: avg_pool(x, TWO_BY_TWO, 1, y), x.nbytes + y.nbytes),
            "max backward": (
                lambda: max_pool_backward(dy, x, TWO_BY_TWO, -np.inf, 0, dx),
                2 * x.nbytes + y.nbytes,
            ),
        }[what]
        self.call()

    def track_pooling(self, shape, what):
        return self.bytes / best(self.call) / 1e9


def best(call):
    """Return the seconds of a call."""
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        for _ in range(CALLS):
            call()
        times.append((perf_counter() - start) / CALLS)
    return min(times)


def main():
    try:
        import torch
    except ImportError:
        torch = None
    print(f"{'shape':20} {'what':13} {'us':>8} {'B/ns':>6} {'copy, B/ns':>10} {'PyTorch, us':>11}")
    for shape in SHAPES:
        x, _, _, dx = arrays(shape)
        flat = x.reshape(-1), dx.reshape(-1)
        copy = 2 * x.nbytes / best(lambda flat=flat: rescale(*flat, 1.0, 0.0)) / 1e9
        for what in Pooling.params[1]:
            pooling = Pooling()
            pooling.setup(str(shape), what)
            seconds = best(pooling.call)
            other = f"{1e6 * best(in_torch(torch, x, what)):12.0f}" if torch else ""
            rate = pooling.bytes / seconds / 1e9
            print(f"{shape!s:20} {what:13} {1e6 * seconds:8.1f} {rate:6.1f} {copy:10.1f} {other}")


def in_torch(torch, x, what):
    """Return a call that pools the same images in PyTorch."""
    torch.set_num_threads(1)
    images = torch.from_numpy(x).permute(0, 3, 1, 2).requires_grad_("backward" in what)
    pool = torch.nn.functional.avg_pool2d if what == "average" else torch.nn.functional.max_pool2d
    if "backward" not in what:
        return torch.no_grad()(lambda: pool(images, 2))
    y = pool(images, 2)
    dy = torch.ones_like(y)
    return lambda: torch.autograd.grad(y, images, dy, retain_graph=True)


if __name__ == "__main__":
    main()

"""Write schedules.npz: the learning rates of torch.optim.lr_scheduler, step by step.

python tests/golden/generate_schedules.py    # needs PyTorch
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("schedules.npz")
LR = 0.1
DOWN = {"steps": 7, "start_factor": 1.0, "end_factor": 0.1}
# PyTorch's class and its arguments, and ours after the rate; the last step is where some of them
# have their end.
SCHEDULES = {
    "step": ("StepLR", (3,), {}, "StepLR", {"steps": 3}, 20),
    "step, slowly": ("StepLR", (4,), {"gamma": 0.7}, "StepLR", {"steps": 4, "gamma": 0.7}, 20),
    "linear": ("LinearLR", (0.2, 1.0, 9), {}, "LinearLR", {"steps": 9, "start_factor": 0.2}, 20),
    "linear down": ("LinearLR", (1.0, 0.1, 7), {}, "LinearLR", DOWN, 20),
    "cosine": (
        *("CosineAnnealingLR", (20,), {"eta_min": 0.01}),
        *("CosineAnnealingLR", {"steps": 20, "min_lr": 0.01}, 21),
    ),
    "one cycle": (
        *("OneCycleLR", (LR, 20), {"pct_start": 0.35, "cycle_momentum": False}),
        *("OneCycleLR", {"steps": 20, "pct_start": 0.35}, 20),
    ),
    "one cycle, short": (
        *("OneCycleLR", (LR, 5), {"cycle_momentum": False}),
        *("OneCycleLR", {"steps": 5}, 5),
    ),
}
# ReduceLROnPlateau by these arguments, which are called the same here, on the same figures.
FIGURES = np.abs(np.random.default_rng(0).normal(size=40))
PLATEAUS = {
    f"{mode}, cooldown {cooldown}": {
        **{"mode": mode, "cooldown": cooldown, "factor": 0.5, "patience": 2, "min_lr": 0.001}
    }
    for mode in ("min", "max")
    for cooldown in (0, 2)
}


def rates_of_torch():
    """Return PyTorch's rates by name."""
    import torch

    def optimizer():
        return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)

    rates = {}
    for name, (kind, arguments, options, *_, steps) in SCHEDULES.items():
        stepped = optimizer()
        scheduler = getattr(torch.optim.lr_scheduler, kind)(stepped, *arguments, **options)
        rates[name] = []
        for step in range(steps):
            rates[name].append(scheduler.get_last_lr()[0])
            if step < steps - 1:
                stepped.step()
                scheduler.step()
    for name, options in PLATEAUS.items():
        stepped = optimizer()
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(stepped, **options)
        rates[name] = []
        for figure in FIGURES:
            scheduler.step(float(figure))
            rates[name].append(stepped.param_groups[0]["lr"])
    return {name: np.array(values) for name, values in rates.items()}


if __name__ == "__main__":
    np.savez_compressed(FILE, **rates_of_torch())

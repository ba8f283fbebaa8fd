"""Write optimizers.json: where torch.optim goes in ten steps along given gradients, in float64.

PyTorch has no Lion: that is the algorithm as its paper states it, with PyTorch's tensors.
"""

import json
from pathlib import Path

import numpy as np
import torch

STEPS, SIZE = 10, 6
CASES = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": [0.5, 0.9], "eps": 0.01, "weight_decay": 0.3}),
    ("Adam", {"amsgrad": True}),
    ("Adam", {"lr": 0.1, "betas": [0.5, 0.7], "weight_decay": 0.3, "amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "betas": [0.5, 0.7], "weight_decay": 0.5, "amsgrad": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.1, "betas": [0.8, 0.95], "eps": 0.01, "momentum_decay": 2.0}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.3, "momentum_decay": 0.0}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.3, "decoupled_weight_decay": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.8, "eps": 0.01, "weight_decay": 0.3}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.8, "weight_decay": 0.3, "momentum": 0.5, "centered": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.3, "eps": 0.01}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5}),
    ("Lion", {}),
    ("Lion", {"lr": 0.1, "betas": [0.7, 0.8], "weight_decay": 0.3}),
]


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al., *Symbolic Discovery of Optimization Algorithms*, 2023."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for theta in group["params"]:
                m = self.state[theta].get("m", torch.zeros_like(theta))
                c = beta1 * m + (1 - beta1) * theta.grad
                theta -= group["lr"] * (torch.sign(c) + group["weight_decay"] * theta)
                self.state[theta]["m"] = beta2 * m + (1 - beta2) * theta.grad


def path(kind, numbers, start, gradients):
    """Return the parameters after each step."""
    params = torch.tensor(start, requires_grad=True)
    optimizer = (Lion if kind == "Lion" else getattr(torch.optim, kind))([params], **numbers)
    found = []
    for gradient in gradients:
        params.grad = torch.tensor(gradient)
        optimizer.step()
        found.append(params.detach().tolist())
    return found


def main():
    torch.set_default_dtype(torch.float64)  # NAdam's product of momenta has the default
    rng = np.random.default_rng(0)
    start = rng.normal(size=SIZE)
    gradients = rng.normal(size=(STEPS, SIZE)) * 10.0 ** rng.integers(-3, 4, (STEPS, 1))
    gradients[:, 0] = 0.0
    gradients[:, 1] = 2.5
    cases = [
        {"optimizer": kind, "numbers": numbers, "path": path(kind, numbers, start, gradients)}
        for kind, numbers in CASES
    ]
    values = {"start": start.tolist(), "gradients": gradients.tolist(), "cases": cases}
    Path(__file__).with_name("optimizers.json").write_text(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()

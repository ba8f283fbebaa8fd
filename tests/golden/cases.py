"""The networks with golden values: plain data, built with torch.nn and with chainrule by name."""

from typing import NamedTuple

STEPS = 3


class Case(NamedTuple):
    """A network, its loss, its optimizer and the shape of its batch, or those of several inputs.

    A layer, a loss and an optimizer are each ``(class name, args, kwargs)``; what a container and a
    ``MultiLoss`` are made of stands in args. A ``Shared`` stands in several places as one object.
    """

    name: str
    layers: list
    loss: tuple
    optimizer: tuple
    shape: tuple
    seed: int
    weighted: bool = False


def spec(name, *args, **kwargs):
    return name, args, kwargs


TIED = spec("Shared", spec("Linear", 4, 4), spec("Tanh"))

CASES = [
    Case(
        "one_linear",
        [spec("Linear", 3, 2)],
        spec("MSELoss"),
        spec("SGD", lr=0.1),
        shape=(5, 3),
        seed=1,
    ),
    Case(
        "relu",
        [spec("Linear", 4, 8), spec("ReLU"), spec("Linear", 8, 3)],
        spec("CrossEntropyLoss"),
        spec("SGD", lr=0.1, momentum=0.9),
        shape=(7, 4),
        seed=2,
    ),
    Case(
        "leaky_relu",
        [spec("Linear", 3, 5), spec("LeakyReLU"), spec("Linear", 5, 2)],
        spec("MSELoss"),
        spec("SGD", lr=0.05, momentum=0.9, nesterov=True),
        shape=(6, 3),
        seed=3,
    ),
    Case(
        "leaky_relu_slope",
        [
            spec("Linear", 3, 5),
            spec("LeakyReLU", negative_slope=0.2),
            spec("Linear", 5, 1),
        ],
        spec("HuberLoss", delta=0.5),
        spec("SGD", lr=0.05, momentum=0.8, weight_decay=0.1, nesterov=True),
        shape=(6, 3),
        seed=4,
    ),
    Case(
        "tanh",
        [
            spec("Linear", 2, 6),
            spec("Tanh"),
            spec("Linear", 6, 5),
            spec("Tanh"),
            spec("Linear", 5, 2),
        ],
        spec("MSELoss"),
        spec("Adam", lr=0.01),
        shape=(9, 2),
        seed=5,
    ),
    Case(
        "sigmoid_weighted",
        [spec("Linear", 3, 4), spec("Sigmoid"), spec("Linear", 4, 2)],
        spec("BCEWithLogitsLoss"),
        spec("AdamW", lr=0.01),
        shape=(8, 3),
        seed=6,
        weighted=True,
    ),
    Case(
        "gelu",
        [spec("Linear", 3, 5), spec("GELU"), spec("Linear", 5, 2)],
        spec("HuberLoss"),
        spec("SGD", lr=0.1, weight_decay=0.05),
        shape=(6, 3),
        seed=7,
    ),
    Case(
        "gelu_tanh",
        [spec("Linear", 4, 5), spec("GELU", approximate="tanh"), spec("Linear", 5, 3)],
        spec("CrossEntropyLoss"),
        spec("Adam", lr=0.01, weight_decay=0.1),
        shape=(6, 4),
        seed=8,
    ),
    Case(
        "silu_weighted",
        [spec("Linear", 3, 5), spec("SiLU"), spec("Linear", 5, 2)],
        spec("MSELoss"),
        spec("SGD", lr=0.1, momentum=0.5, weight_decay=0.01),
        shape=(7, 3),
        seed=9,
        weighted=True,
    ),
    Case(
        "softplus_weighted",
        [spec("Linear", 3, 4), spec("Softplus"), spec("Linear", 4, 2)],
        spec("HuberLoss", delta=0.7),
        spec("Adam", lr=0.02, betas=(0.8, 0.95), eps=1e-6),
        shape=(6, 3),
        seed=10,
        weighted=True,
    ),
    Case(
        "elu_label_smoothing",
        [
            spec("Linear", 3, 5),
            spec("ELU"),
            spec("Linear", 5, 4),
            spec("ELU", alpha=0.5),
            spec("Linear", 4, 4),
        ],
        spec("CrossEntropyLoss", label_smoothing=0.1),
        spec("SGD", lr=0.2),
        shape=(8, 3),
        seed=11,
    ),
    Case(
        "label_smoothing_weighted",
        [spec("Linear", 4, 6), spec("Tanh"), spec("Linear", 6, 5)],
        spec("CrossEntropyLoss", label_smoothing=0.25),
        spec("AdamW", lr=0.01, betas=(0.9, 0.99), weight_decay=0.2),
        shape=(7, 4),
        seed=12,
        weighted=True,
    ),
    Case(
        "softmax",
        [spec("Linear", 3, 4), spec("Softmax"), spec("Linear", 4, 3), spec("Softmax")],
        spec("MSELoss"),
        spec("SGD", lr=0.5, momentum=0.9),
        shape=(5, 3),
        seed=13,
    ),
    Case(
        "log_softmax",
        [spec("Linear", 3, 4), spec("LogSoftmax"), spec("Linear", 4, 3), spec("LogSoftmax")],
        spec("HuberLoss"),
        spec("AdamW", lr=0.02),
        shape=(5, 3),
        seed=14,
    ),
    Case(
        "identity",
        [spec("Identity"), spec("Linear", 4, 3), spec("Identity"), spec("Linear", 3, 1)],
        spec("BCEWithLogitsLoss"),
        spec("SGD", lr=0.1),
        shape=(6, 4),
        seed=15,
    ),
    Case(
        "flatten_weighted",
        [spec("Flatten"), spec("Linear", 6, 5), spec("ReLU"), spec("Linear", 5, 3)],
        spec("CrossEntropyLoss"),
        spec("Adam", lr=0.01),
        shape=(6, 2, 3),
        seed=16,
        weighted=True,
    ),
    Case(
        "no_bias",
        [spec("Linear", 3, 4, bias=False), spec("Tanh"), spec("Linear", 4, 2, bias=False)],
        spec("MSELoss"),
        spec("AdamW", lr=0.01, weight_decay=0.0),
        shape=(5, 3),
        seed=17,
    ),
    Case(
        "linear_on_3d",
        [spec("Linear", 3, 4), spec("SiLU"), spec("Flatten"), spec("Linear", 8, 2)],
        spec("MSELoss"),
        spec("SGD", lr=0.1, momentum=0.9),
        shape=(5, 2, 3),
        seed=18,
    ),
    Case(
        "softmax_on_3d_weighted",
        [
            spec("Linear", 2, 4, bias=False),
            spec("Softmax"),
            spec("Linear", 4, 3),
            spec("LogSoftmax"),
            spec("Flatten"),
            spec("Linear", 9, 2),
        ],
        spec("BCEWithLogitsLoss"),
        spec("SGD", lr=0.1, nesterov=True, momentum=0.9),
        shape=(5, 3, 2),
        seed=19,
        weighted=True,
    ),
    Case(
        "defaults_on_one_row",
        [spec("Linear", 3, 4), spec("GELU"), spec("Linear", 4, 3)],
        spec("CrossEntropyLoss"),
        spec("Adam"),
        shape=(1, 3),
        seed=20,
    ),
    Case(
        "rescale_first_and_later",
        [
            spec("Rescale", 0.5, offset=-0.25),
            spec("Linear", 3, 4),
            spec("Rescale", -1.5),
            spec("Tanh"),
            spec("Linear", 4, 2),
        ],
        spec("MSELoss"),
        spec("SGD", lr=0.1),
        shape=(6, 3),
        seed=21,
    ),
    Case(
        "residual",
        [
            spec("Linear", 3, 4),
            spec("Residual", spec("Linear", 4, 5), spec("ReLU"), spec("Linear", 5, 4)),
            spec("Residual", spec("Residual", spec("Tanh"), spec("Linear", 4, 4)), spec("SiLU")),
            spec("Linear", 4, 2),
        ],
        spec("MSELoss"),
        spec("Adam", lr=0.01),
        shape=(6, 3),
        seed=22,
    ),
    Case(
        "parallel_weighted",
        [
            spec("Parallel", spec("Linear", 3, 4), spec("Linear", 3, 2), combine="concatenate"),
            spec(
                "Parallel",
                spec("Linear", 6, 3),
                spec("Sequential", spec("Linear", 6, 3), spec("Sigmoid")),
                combine="product",
            ),
            spec(
                "Parallel",
                spec("Identity"),
                spec("Tanh"),
                spec("Residual", spec("Linear", 3, 3)),
            ),
        ],
        spec("HuberLoss"),
        spec("SGD", lr=0.1, momentum=0.9),
        shape=(7, 3),
        seed=23,
        weighted=True,
    ),
    Case(
        "shared",
        [
            spec("Linear", 3, 4),
            TIED,
            spec("Rescale", 0.5),
            spec("Residual", TIED, spec("Linear", 4, 4, bias=False)),
            spec("Parallel", TIED, spec("Sequential", TIED, TIED), combine="product"),
        ],
        spec("CrossEntropyLoss"),
        spec("AdamW", lr=0.01, weight_decay=0.1),
        shape=(8, 3),
        seed=24,
    ),
    Case(
        "branch_weighted",
        [
            spec("Linear", 3, 4),
            spec("Tanh"),
            spec(
                "Branch",
                spec("Linear", 4, 3),
                spec("Sequential", TIED, spec("Linear", 4, 2)),
                spec("Identity"),
                spec("Residual", TIED),
            ),
        ],
        spec(
            "MultiLoss",
            spec("CrossEntropyLoss", label_smoothing=0.1),
            spec("BCEWithLogitsLoss"),
            spec("MSELoss"),
            spec("HuberLoss"),
            weights=(1.0, 0.5, 0.25, 2.0),
        ),
        spec("SGD", lr=0.1),
        shape=(6, 3),
        seed=25,
        weighted=True,
    ),
    Case(
        "inputs",
        [
            spec(
                "Inputs",
                spec("Sequential", spec("Flatten"), spec("Linear", 6, 4), spec("Tanh")),
                TIED,
                spec("Identity"),
            ),
            spec("Linear", 11, 3),
        ],
        spec("CrossEntropyLoss"),
        spec("Adam", lr=0.01),
        shape=((7, 2, 3), (7, 4), (7, 3)),
        seed=26,
        weighted=True,
    ),
]
OF_ONE_INPUT = [case for case in CASES if not isinstance(case.shape[0], tuple)]

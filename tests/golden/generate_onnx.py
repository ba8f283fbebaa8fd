"""Write onnx/<maker>.onnx, and onnx/<maker>.npz with what the maker's own model computes.

    python tests/golden/generate_onnx.py sklearn    # needs scikit-learn and skl2onnx
    python tests/golden/generate_onnx.py keras      # needs keras, tensorflow-cpu and tf2onnx
    python tests/golden/generate_onnx.py pytorch    # needs torch and onnxscript
    python tests/golden/generate_onnx.py pytorch_images

The models have what real ones have around their layers: scalers, labels, casts, normalizations,
clipped or squeezed outputs, and PyTorch's tensors lie in a file beside the model.
"""

import sys
from pathlib import Path

import numpy as np
import onnx

FOLDER = Path(__file__).parent / "onnx"
rng = np.random.default_rng(0)


def sklearn(path):
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_iris()
    x = data.data.astype("float32")
    classifier = MLPClassifier((8, 5), activation="tanh", max_iter=300, random_state=0)
    model = make_pipeline(StandardScaler(), classifier).fit(x, data.target_names[data.target])
    onnx.save(to_onnx(model, x[:1]), path)
    return x[::10], [model.predict_proba(x[::10])]


def keras(path):
    from keras import Input, Model, layers, utils

    utils.set_random_seed(0)
    x = Input((6,))
    h = layers.Dense(8, activation="softplus")(layers.Rescaling(0.5, offset=-1.0)(x))
    h = layers.Dense(8, activation="relu6")(layers.BatchNormalization()(h))
    h = layers.Add()([h, layers.Dense(8, activation="silu")(h)])
    label = layers.Dense(3, activation="softmax")(h)
    value = layers.Reshape(())(layers.Dense(1, activation="hard_sigmoid")(h))
    model = Model(x, [label, value])
    # Statistics, too, as after a training.
    model.set_weights([np.abs(w + 0.3 * rng.normal(size=w.shape)) for w in model.get_weights()])
    rows = rng.normal(size=(9, 6)).astype("float32")
    outputs = [output.numpy() for output in model(rows)]
    model.export(path, format="onnx", verbose=False)
    return rows, outputs


def pytorch(path):
    import torch

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mean, self.std = torch.randn(6), 0.5 + torch.rand(6)
            self.first = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Softplus(beta=2.0))
            self.norm = torch.nn.BatchNorm1d(16)
            self.norm.running_mean.normal_()
            self.norm.running_var.uniform_(0.5, 2.0)
            self.second = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU6())
            self.scores, self.value = torch.nn.Linear(8, 3), torch.nn.Linear(8, 1)

        def forward(self, x):
            h = self.second(torch.tanh(self.norm(self.first((x - self.mean) / self.std))))
            scores = self.scores(h)
            return scores, scores.argmax(1), self.value(h).clamp(-0.2, 0.2).squeeze(1)

    torch.manual_seed(0)
    model = Model().eval()
    rows = torch.randn(9, 6)
    scores, _, value = exported_by_torch(model, rows, path)
    return rows.numpy(), [scores.detach().numpy(), value.detach().numpy()]


def pytorch_images(path):
    """Images with their channels first, flattened in this order in one of two heads."""
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
            self.second, self.norm = nn.Conv2d(4, 4, 3, padding="same"), nn.BatchNorm2d(4)
            self.norm.running_mean.normal_()
            self.norm.running_var.uniform_(0.5, 2.0)
            self.third = nn.Conv2d(4, 6, (2, 3), stride=(2, 1), groups=2)
            self.up, self.mean = nn.ConvTranspose2d(6, 3, 2, stride=2), nn.AdaptiveAvgPool2d(1)
            self.scores, self.value = nn.Linear(6 * 2 * 3, 5), nn.Linear(3, 1)

        def forward(self, x):
            h = self.first(x / 2)
            h = self.third(nn.functional.silu(h + self.norm(self.second(h))))
            scores = self.scores(nn.functional.dropout(h.flatten(1).tanh(), 0.5, self.training))
            return scores, self.value(self.mean(self.up(h)).flatten(1))

    torch.manual_seed(0)
    images = torch.randn(7, 2, 8, 10)
    outputs = exported_by_torch(Model().eval(), images, path)
    return images.numpy(), [output.detach().numpy() for output in outputs]


def exported_by_torch(model, rows, path):
    import torch

    batch = torch.export.Dim("batch")
    torch.onnx.export(model, (rows,), path, dynamic_shapes=({0: batch},), verbose=False)
    written = onnx.load(path, load_external_data=False)
    for node in written.graph.node:
        del node.metadata_props[:]  # where the code lay
    onnx.save(written, path)
    return model(rows)


if __name__ == "__main__":
    (maker,) = sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    x, outputs = globals()[maker](str(FOLDER / f"{maker}.onnx"))
    np.savez(FOLDER / f"{maker}.npz", x, *outputs)

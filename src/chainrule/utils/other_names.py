"""What to take for names of PyTorch and Keras that this package does not have."""

from __future__ import annotations

import re

_OWN_LAYER = "there is none; cr.NumPyLayer and cr.CompiledLayer are layers of your own"
_OWN_LOSS = "there is none; cr.NumPyLoss and cr.CompiledLoss are losses of your own"
_IN_LAYERS = "layers and losses are names of cr itself, as cr.Linear and cr.MSELoss"

# The number of axes, as in BatchNorm2d, may be left out, if it is the same for all of them.
_HINTS = {
    "BatchNorm BatchNormalization LazyBatchNorm": (
        "cr.BatchNorm(channels) takes rows, signals and images, whose channels are the last axis"
    ),
    "SyncBatchNorm": "cr.BatchNorm(channels) has the same statistics with any number of threads",
    "InstanceNorm LazyInstanceNorm": ("cr.GroupNorm(channels, channels, affine=False) computes it"),
    "LayerNormalization": "cr.LayerNorm(features)",
    "LocalResponseNorm CrossMapLRN2d": (
        "there is none; cr.BatchNorm(channels) and cr.GroupNorm(1, channels) serve its purpose"
    ),
    "AdaptiveAvgPool GlobalAveragePooling": (
        "cr.GlobalAvgPool() is the mean over all places, as of an output size of 1, and "
        "leaves no axes to flatten; for others, cr.AvgPool2d(2) has windows of a fixed size"
    ),
    "AdaptiveMaxPool GlobalMaxPooling": (
        "cr.GlobalMaxPool() is the maximum over all places, as of an output size of 1, and "
        "leaves no axes to flatten; for others, cr.MaxPool2d(2) has windows of a fixed size"
    ),
    "MaxPooling1D MaxPooling2D": "cr.MaxPool1d(2) and cr.MaxPool2d(2)",
    "AveragePooling1D AveragePooling2D": "cr.AvgPool1d(2) and cr.AvgPool2d(2)",
    "LPPool FractionalMaxPool MaxUnpool": (
        "there is none; cr.MaxPool2d(2) and cr.AvgPool2d(2) pool, cr.Upsample(2) enlarges"
    ),
    "Conv1D Conv2D LazyConv1d LazyConv2d": (
        "cr.Conv1d and cr.Conv2d, such as cr.Conv2d(channels, 16, 3), take the number of "
        "input channels"
    ),
    "Conv2DTranspose Conv1DTranspose LazyConvTranspose1d LazyConvTranspose2d": (
        "cr.ConvTranspose1d and cr.ConvTranspose2d, such as cr.ConvTranspose2d(channels, 16, "
        "2, stride=2)"
    ),
    "DepthwiseConv": "cr.Conv2d(channels, channels, 3, groups=channels)",
    (
        "Conv3d Conv3D ConvTranspose3d LazyConv3d LazyConvTranspose3d MaxPool3d AvgPool3d "
        "MaxPooling3D AveragePooling3D"
    ): (
        "there are layers for signals and images only, such as cr.Conv2d(channels, 16, 3) and "
        "cr.MaxPool2d(2)"
    ),
    "ZeroPad ZeroPadding": (
        "cr.ZeroPad(((top, bottom), (left, right))) is for images, cr.ZeroPad(((left, "
        "right),)) for signals"
    ),
    "ConstantPad CircularPad ReflectionPad ReplicationPad": (
        "cr.ZeroPad(1) pads with zeros, the only padding that there is"
    ),
    "UpSampling UpsamplingNearest": "cr.Upsample(2) repeats each pixel",
    "UpsamplingBilinear": (
        "cr.Upsample(2) repeats each pixel; cr.ConvTranspose2d(channels, channels, 4, "
        "stride=2, padding=1) can learn to interpolate"
    ),
    (
        "PixelShuffle PixelUnshuffle ChannelShuffle Fold Unfold Unflatten Bilinear "
        "CosineSimilarity PairwiseDistance AdaptiveLogSoftmaxWithLoss"
    ): _OWN_LAYER,
    "RandomTranslation RandomAffine": "cr.RandomShift(2) shifts by whole pixels",
    "RandomHorizontalFlip": "cr.RandomFlip()",
    "RandomVerticalFlip": 'cr.RandomFlip("vertical")',
    "CenterCrop Resize": "cr.RandomCrop(24) takes the middle in predict; resize images before",
    "Dropout SpatialDropout": "cr.Dropout(p) drops single elements, not whole channels",
    "AlphaDropout FeatureAlphaDropout": "cr.Dropout(p)",
    "ReLU6": (
        "cr.Activation(lambda x: min(max(x, 0.0), 6.0), lambda x: 1.0 if 0 < x < 6 else 0.0)"
    ),
    "Hardtanh": (
        "cr.Activation(lambda x: min(max(x, -1.0), 1.0), lambda x: 1.0 if -1 < x < 1 else 0.0)"
    ),
    "RReLU": "cr.LeakyReLU() has a fixed slope, cr.PReLU() one that is trained",
    "SELU CELU": "cr.ELU() is the nearest; cr.Activation makes a layer of a function",
    "Hardsigmoid Hardshrink Softshrink Tanhshrink Threshold": (
        "cr.Activation makes a layer of a function and its derivative"
    ),
    "LogSigmoid": (
        "cr.BCEWithLogitsLoss() has it in it; cr.Activation makes a layer of a function"
    ),
    "Softmax Softmin": "cr.Softmax() is along the last axis, which holds the channels",
    "Dense LazyLinear": "cr.Linear(in_features, out_features)",
    "EmbeddingBag": "cr.Sequential(cr.Embedding(codes, features), cr.GlobalAvgPool())",
    "LSTM LSTMCell GRU GRUCell RNN RNNCell RNNBase RNNCellBase SimpleRNN": (
        "there are no recurrent layers; cr.Conv1d(channels, 16, 3) takes signals, "
        "cr.Flatten() makes features of a sequence of fixed length"
    ),
    (
        "Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder "
        "TransformerDecoderLayer MultiheadAttention MultiHeadAttention"
    ): "there is no attention; cr.Conv1d(channels, 16, 3) takes sequences",
    "Normalization StandardScaler": "cr.Standardize().adapt(X) learns mean and variance from X",
    "Rescaling": "cr.Rescale(1 / 255)",
    "Concatenate": 'cr.Parallel(cr.Identity(), cr.Tanh(), combine="concatenate")',
    "Add": (
        "cr.Residual(cr.Tanh()) adds layers to their input, cr.Parallel(cr.Identity(), "
        "cr.Tanh()) adds branches"
    ),
    "Module ModuleList ModuleDict Model Container": (
        "cr.Sequential(cr.Linear(4, 8), cr.ReLU()) is a network and a part of one; "
        "cr.Parallel, cr.Residual and cr.Branch have branches; cr.NumPyLayer is a layer of "
        "your own"
    ),
    "ParameterList ParameterDict Buffer UninitializedParameter UninitializedBuffer": (
        "the arrays of a layer of your own are in a dict of cr.Parameter"
    ),
    "DataParallel": "cr.set_num_threads(2) is all that it takes",
    "NLLLoss": "cr.CrossEntropyLoss() takes logits, without a LogSoftmax before it",
    "LinearCrossEntropyLoss LinearCrossEntropyOptions": "cr.CrossEntropyLoss() takes logits",
    "BCELoss BinaryCrossentropy": (
        "cr.BCEWithLogitsLoss() takes logits, without a Sigmoid before it"
    ),
    "SparseCategoricalCrossentropy CategoricalCrossentropy": ("cr.CrossEntropyLoss() takes logits"),
    "SmoothL1Loss": "cr.HuberLoss()",
    "MeanSquaredError": "cr.MSELoss()",
    "MeanAbsoluteError": "cr.L1Loss()",
    (
        "KLDivLoss CTCLoss CosineEmbeddingLoss HingeEmbeddingLoss MarginRankingLoss "
        "MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss SoftMarginLoss "
        "TripletMarginLoss TripletMarginWithDistanceLoss"
    ): _OWN_LOSS,
    "LBFGS": "cr.objective(net, loss, X, y) is for scipy.optimize.minimize, which has it",
    "ASGD": "cr.SGD() with cr.ExponentialMovingAverage",
    "SparseAdam": (
        "cr.Adam() and cr.SGD(); plain SGD changes only the rows of a table that a batch takes"
    ),
    "Adadelta Adafactor Adamax Muon RAdam Rprop": ("there is none; cr.AdamW() is the nearest"),
    "nn": _IN_LAYERS,
    "functional": "functions on arrays are in cr.ops, as cr.ops.relu",
    "optim": "optimizers are names of cr itself, as cr.Adam()",
    "lr_scheduler": "schedules are in cr.schedules, as cr.schedules.StepLR",
    "Tensor tensor from_numpy": "there are no tensors: networks take arrays of NumPy",
    "no_grad inference_mode": "net.predict(X) keeps nothing for a backward pass",
    "DataLoader TensorDataset Dataset": (
        "cr.fit(net, X, y, loss=loss, batch_size=64) takes arrays, or any iterable of batches "
        "instead of X"
    ),
    "save": "net.save(path) writes a network, cr.load(path) reads it",
    "manual_seed": "the arguments seed of cr.Sequential and cr.fit",
    "compile": "there is nothing to compile: the chainrule command compiles ahead",
    "MultiStepLR ExponentialLR LambdaLR CosineAnnealingWarmRestarts": (
        "a schedule is any function of the step's number; cr.schedules has some, as "
        "cr.schedules.StepLR"
    ),
}
HINTS = {name: hint for names, hint in _HINTS.items() for name in names.split()}


def hint_for(name: str) -> str:
    """Return what to take instead of a name; an empty text if there is no such hint.

    >>> hint_for("Rescaling"), hint_for("SpatialDropout2D") == hint_for("Dropout1d")
    ('cr.Rescale(1 / 255)', True)
    """
    return HINTS.get(name) or HINTS.get(re.sub("[123][dD]$", "", name), "")

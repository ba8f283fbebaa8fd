"""Layers: small immutable specs. They define shapes and parameters, and compute nothing.

Each file's ``__all__`` names the layers that it adds to the public ones.
"""

from chainrule.layers import (
    activation,
    augmentation,
    batch_norm,
    columns,
    container,
    convolution,
    dropout,
    embedding,
    flatten,
    glu,
    group_norm,
    layer_norm,
    linear,
    pooling,
    prelu,
    rescale,
    resizing,
    rms_norm,
    standardize,
    transposed_convolution,
)
from chainrule.layers.activation import *
from chainrule.layers.augmentation import *
from chainrule.layers.batch_norm import *
from chainrule.layers.columns import *
from chainrule.layers.compiled import CompiledLayer as CompiledLayer
from chainrule.layers.container import *
from chainrule.layers.convolution import *
from chainrule.layers.custom_activation import Activation as Activation
from chainrule.layers.dropout import *
from chainrule.layers.embedding import *
from chainrule.layers.flatten import *
from chainrule.layers.glu import *
from chainrule.layers.group_norm import *
from chainrule.layers.layer import Layer as Layer
from chainrule.layers.layer import Parameter as Parameter
from chainrule.layers.layer_norm import *
from chainrule.layers.linear import *
from chainrule.layers.numpy_layer import NumPyLayer as NumPyLayer
from chainrule.layers.pooling import *
from chainrule.layers.prelu import *
from chainrule.layers.rescale import *
from chainrule.layers.resizing import *
from chainrule.layers.rms_norm import *
from chainrule.layers.standardize import *
from chainrule.layers.transposed_convolution import *
from chainrule.utils.public import listing

__all__: list[str] = []
__all__ += activation.__all__
__all__ += augmentation.__all__
__all__ += batch_norm.__all__
__all__ += columns.__all__
__all__ += container.__all__
__all__ += convolution.__all__
__all__ += dropout.__all__
__all__ += embedding.__all__
__all__ += flatten.__all__
__all__ += glu.__all__
__all__ += group_norm.__all__
__all__ += layer_norm.__all__
__all__ += linear.__all__
__all__ += pooling.__all__
__all__ += prelu.__all__
__all__ += rescale.__all__
__all__ += resizing.__all__
__all__ += rms_norm.__all__
__all__ += standardize.__all__
__all__ += transposed_convolution.__all__

__dir__ = listing(__all__)

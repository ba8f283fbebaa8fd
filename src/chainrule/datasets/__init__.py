"""Data to train on: the digits that come with chainrule, and readers for files of your own.

Each function returns ``(X, y)``: inputs as float32 of shape ``(n, features)``, labels as int64 of
shape ``(n,)``.
"""

from chainrule.datasets.readers import load, load_digits, load_images, load_table
from chainrule.utils.public import listing

__all__ = ["load", "load_digits", "load_images", "load_table"]

__dir__ = listing(__all__)

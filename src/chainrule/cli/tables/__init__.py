"""Tables of numbers, categories and dates: read from .csv files, and encoded for a network."""

from chainrule.cli.tables.columns import Category, Date, Number
from chainrule.cli.tables.description import describe
from chainrule.cli.tables.encoding import CLASSIFICATION, REGRESSION, Encoding
from chainrule.cli.tables.fitting import Reading, choose_columns
from chainrule.cli.tables.overrides import parse_overrides
from chainrule.cli.tables.reading import RawTable, read_table
from chainrule.cli.tables.scaling import LARGEST, is_constant, moments
from chainrule.cli.tables.target import choose_target, fit_classes, fit_target, keep_targets

__all__ = [
    "CLASSIFICATION",
    "LARGEST",
    "REGRESSION",
    "Category",
    "Date",
    "Encoding",
    "Number",
    "RawTable",
    "Reading",
    "choose_columns",
    "choose_target",
    "describe",
    "fit_classes",
    "fit_target",
    "is_constant",
    "keep_targets",
    "moments",
    "parse_overrides",
    "read_table",
]

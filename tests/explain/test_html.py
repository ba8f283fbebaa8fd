"""The page and the notebook's fragments: what stands there is what the chain says."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import files_of_page, html
from chainrule.explain.heat_map import block_shape, shrink

ENOUGH = 1e-4  # relative: the page shows four digits, of matrices three


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def classifier(*sizes, **options):
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [cr.Linear(inputs, outputs), cr.ReLU()]
    return cr.Sequential(*layers[:-1], seed=0, **options)


def classify(net, rows, **options):
    inputs, classes = net.layers[0].in_features, net.layers[-1].out_features
    labels = np.arange(rows) % classes
    return cr.explain(net, cr.CrossEntropyLoss(), batch((rows, inputs)), labels, **options)


def small_chain():
    net = cr.Sequential(
        cr.Linear(4, 5, name="H"), cr.Tanh(), cr.Linear(5, 3, name="O"), seed=0, dtype="float64"
    )
    return cr.explain(net, cr.CrossEntropyLoss(), batch((2, 4)), [0, 2])


@pytest.fixture(scope="module", name="chain")
def chain_fixture():
    return small_chain()


@pytest.fixture(scope="module", name="page")
def page_fixture(chain):
    return html.page(chain)


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def paths_of(page):
    return {path["name"]: path for path in data_of(page)["paths"]}

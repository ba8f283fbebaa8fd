"""Numbers and categories in one table
=====================================

A table with a column of categories, as vectors that are learned, beside a column for each category.

How long people live in 142 countries, every five years from 1952 to 2007, by country, year, income
and population: 1,704 rows, which come with plotly. The network takes the table as it is:
``Columns`` divides it, ``Embedding`` has a vector of eight numbers for each country. One-hot
columns are 142 of 0 and 1 instead, whose weights are a vector of 32 for each country. In an
environment with ``pip install chainrule plotly pandas``: ``python examples/mixed_table.py``
"""

from time import perf_counter

import numpy as np
from plotly.data import gapminder

import chainrule as cr

SEEDS, TEST_ROWS, WIDTH = 5, 426, 32

data = gapminder(return_type="pandas")
country = data["country"].astype("category").cat.codes.to_numpy()
numbers = np.column_stack([data["year"], np.log(data["gdpPercap"]), np.log(data["pop"])])
table = np.column_stack([country, numbers])  # codes are numbers, too
years = data["lifeExp"].to_numpy()
countries = country.max() + 1


def embedded(train, seed):
    """Return the table, and the layers that take it."""
    codes = [cr.Columns([0]), cr.Embedding(countries, 8), cr.Flatten()]
    others = [cr.Columns([1, 2, 3]), cr.Standardize().adapt(numbers[train])]
    branches = [cr.Sequential(*layers, seed=seed) for layers in (codes, others)]
    return table, [cr.Parallel(*branches, combine="concatenate"), cr.Linear(8 + 3, WIDTH)]


def one_hot(train, seed):
    """Return a table of 0 and 1 and of numbers, and the layers that take it."""
    columns = np.column_stack([np.eye(countries)[country], numbers])
    return columns, [cr.Standardize().adapt(columns[train]), cr.Linear(countries + 3, WIDTH)]


def without_country(train, seed):
    """Return the numbers alone: what the country tells is the difference."""
    return numbers, [cr.Standardize().adapt(numbers[train]), cr.Linear(3, WIDTH)]


def error_of(make, seed):
    """Train on some rows; return the error on the others, the seconds, and the parameters."""
    order = np.random.default_rng(seed).permutation(len(years))
    test, train = order[:TEST_ROWS], order[TEST_ROWS:]
    X, layers = make(train, seed)
    mean, deviation = years[train].mean(), years[train].std()
    net = cr.Sequential(*layers, cr.ReLU(), cr.Linear(WIDTH, 1), seed=seed)
    started = perf_counter()
    cr.fit(
        net,
        X[train],
        (years[train] - mean) / deviation,
        loss=cr.MSELoss(),
        optimizer=cr.AdamW(lr=0.01, weight_decay=0.01),
        schedule=cr.schedules.CosineAnnealingLR(0.01),
        epochs=150,
        batch_size=32,
        progress=False,
        seed=seed,
    )
    seconds = perf_counter() - started
    found = net.predict(X[test])[:, 0] * deviation + mean
    return np.sqrt(np.mean((found - years[test]) ** 2)), seconds, net.params.size


def main(seeds=SEEDS):
    """Print the root mean square errors, in years, on rows that were held out."""
    error_of(embedded, 0), error_of(one_hot, 0)  # compiles
    found = {}
    print(f"{'':17} error in years   parameters   seconds")
    for make in (embedded, one_hot, without_country):
        errors, seconds, sizes = zip(*(error_of(make, seed) for seed in range(seeds)), strict=True)
        found[make.__name__] = float(np.mean(errors))
        about = f"{np.mean(errors):.2f} +- {np.std(errors):.2f}"
        print(f"{make.__name__:17} {about:14} {sizes[0]:12,} {min(seconds):9.2f}")
    return found


if __name__ == "__main__":
    main()

"""Orders of epochs: each a permutation, none more likely than another, given by seed and number."""

import numpy as np
import pytest

from chainrule.engine.orders import epoch_orders


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_each_order_has_every_row_once(rows):
    orders = epoch_orders(rows, 0, 5, seed=3)
    assert orders.shape == (5, rows)
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(rows), (5, 1)))


def test_an_order_follows_from_seed_and_number_alone():
    orders = epoch_orders(50, 0, 7, seed=3)
    for first, count in [(0, 1), (2, 3), (6, 1)]:
        assert np.array_equal(epoch_orders(50, first, count, seed=3), orders[first:][:count])
    assert len({order.tobytes() for order in orders}) == 7
    assert not np.array_equal(epoch_orders(50, 0, 1, seed=4), orders[:1])


def test_all_orders_are_equally_likely():
    orders, counts = np.unique(epoch_orders(4, 0, 24_000, seed=0), axis=0, return_counts=True)
    assert len(orders) == 24
    # Chi-square with 23 degrees of freedom: beyond 49.7 once in a thousand seeds.
    assert ((counts - 1000) ** 2 / 1000).sum() < 49.7


def test_every_row_comes_to_every_place():
    orders = epoch_orders(10, 0, 10_000, seed=1)
    counts = [np.bincount(places, minlength=10) for places in orders.T]
    # The same, with 81 degrees of freedom.
    assert ((np.array(counts) - 1000) ** 2 / 1000).sum() < 126.1


def test_orders_know_nothing_of_data_from_the_same_seed():
    x = np.random.default_rng(5).random(10_000)
    (order,) = epoch_orders(x.size, 0, 1, seed=5)
    assert abs(np.corrcoef(x[order], np.arange(x.size))[0, 1]) < 0.04  # four standard deviations


def test_without_a_seed_rows_keep_their_order():
    assert epoch_orders(3, 4, 2, seed=None).tolist() == [[0, 1, 2], [0, 1, 2]]

"""Orders of epochs: each a permutation, none more likely than another, given by seed and number."""

import numpy as np
import pytest

from chainrule.engine.orders import EpochOrders


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_each_order_has_every_row_once(rows):
    orders = EpochOrders(rows, 3).epochs(0, 5)
    assert orders.shape == (5, rows)
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(rows), (5, 1)))


def test_an_order_follows_from_seed_and_number_alone():
    given = EpochOrders(50, 3)
    orders = given.epochs(0, 7)
    for first, count in [(0, 1), (2, 3), (6, 1), (5, 2), (5, 2)]:  # forward, backward and again
        assert np.array_equal(given.epochs(first, count), orders[first:][:count])
        assert np.array_equal(EpochOrders(50, 3).epochs(first, count), orders[first:][:count])
    assert len({order.tobytes() for order in orders}) == 7
    assert not np.array_equal(EpochOrders(50, 4).epochs(0, 1), orders[:1])


def test_all_orders_are_equally_likely():
    orders, counts = np.unique(EpochOrders(4, 0).epochs(0, 24_000), axis=0, return_counts=True)
    assert len(orders) == 24
    # Chi-square with 23 degrees of freedom: beyond 49.7 once in a thousand seeds.
    assert ((counts - 1000) ** 2 / 1000).sum() < 49.7


def test_every_row_comes_to_every_place():
    orders = EpochOrders(10, 1).epochs(0, 10_000)
    counts = [np.bincount(places, minlength=10) for places in orders.T]
    # The same, with 81 degrees of freedom.
    assert ((np.array(counts) - 1000) ** 2 / 1000).sum() < 126.1


def test_orders_know_nothing_of_data_from_the_same_seed():
    x = np.random.default_rng(5).random(10_000)
    (order,) = EpochOrders(x.size, 5).epochs(0, 1)
    assert abs(np.corrcoef(x[order], np.arange(x.size))[0, 1]) < 0.04  # four standard deviations


def test_without_a_seed_rows_keep_their_order():
    assert EpochOrders(3, None).epochs(4, 2).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_orders_are_those_of_earlier_versions():
    """A checkpoint of an earlier version continues with the same bits."""
    orders = EpochOrders(6, 0).epochs(3, 2)
    assert orders.tolist() == [[3, 5, 4, 1, 0, 2], [3, 4, 5, 1, 2, 0]]

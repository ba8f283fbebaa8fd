"""Lengths of axes where a network is built: known, or unknown but for what they may be.

Layers compute with both alike. The set of lengths that a result may have can be too large, but
never too small: so what is refused fits no input.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, inf, isqrt, prod

from chainrule.operations.operation import Shape

LARGEST_FACTORED = 1 << 28  # whose divisors are found in a millisecond
MOST_DIFFERENCES = 16  # that are known of a length; those of the latest axes


class Unknown:
    """A length that may be ``first``, or more than it by multiples of ``step``.

    Attributes
    ----------
    first, step : int
        Both at least 1.
    differences : dict of object: tuple of float
        How much longer it is, at least and at most, than the axes that it is computed from: behind
        a convolution with a kernel of 3, an axis is 2 shorter than the image's, (-2, -2). An axis
        of which no such number is known has itself as the last one.
    factors : tuple of int or Unknown
        The lengths that it is the product of, if it is one: not every multiple of ``step`` is.
    """

    __slots__ = ("differences", "factors", "first", "step")

    def __init__(self, first: int = 1, step: int = 1, factors: PartialShape = ()) -> None:
        self.first, self.step, self.factors = first, step, factors
        self.differences: dict[object, tuple[float, float]] = {object(): (0, 0)}


Length = int | Unknown
PartialShape = tuple[Length, ...]  # of a row's axes


def known(lengths: PartialShape) -> Shape | None:
    """Return a shape, None unless all lengths are known."""
    shape = tuple(n for n in lengths if isinstance(n, int))
    return shape if len(shape) == len(lengths) else None


def may_be(length: Length, n: int) -> bool:
    """Return whether a length is n, or may be.

    >>> may_be(Unknown(16, 16), 144), may_be(Unknown(16, 16), 145), may_be(3, 4)
    (True, False, False)
    >>> area = product((Unknown(3), Unknown(3)))
    >>> [n for n in range(9, 20) if may_be(area, n)]
    [9, 12, 15, 16, 18]
    """
    if isinstance(length, int):
        return length == n
    if n < length.first or (n - length.first) % length.step:
        return False
    if not length.factors or n > LARGEST_FACTORED:
        return True
    one, others = length.factors[0], product(length.factors[1:])
    halves = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return any(may_be(one, d) and may_be(others, n // d) for d in halves + [n // d for d in halves])


def with_last(shape: PartialShape, length: int | None) -> PartialShape:
    """Return a shape whose last axis has this length, if it may have it; else the shape itself."""
    if length is None or not shape or not may_be(shape[-1], length):
        return shape
    return (*shape[:-1], length)


def least_of(length: Length) -> int:
    """Return the least that a length may be."""
    return length if isinstance(length, int) else length.first


def scaled(length: Length, times: int = 1, more: int = 0, by: int = 1) -> Length:
    """Return ``(times * length + more) // by``; if that is unknown, it is at least 1.

    >>> scaled(10, more=-2, by=3), scaled(Unknown(), times=2).step
    (2, 2)
    """
    if isinstance(length, int):
        return (times * length + more) // by
    first, step = (times * length.first + more) // by, times * length.step
    step = 1 if step % by else step // by
    first += step * max(0, -((first - 1) // step))
    result = Unknown(first, step)
    # The difference is the nearest to 0 for the shortest length from which there is a result.
    shortest = max(length.first, -((more - by) // times))
    difference = (times * shortest + more) // by - shortest
    least, most = difference if times >= by else -inf, difference if times <= by else inf
    before = {axis: (a + least, b + most) for axis, (a, b) in length.differences.items()}
    after = before if least == most else before | result.differences
    result.differences = dict([*after.items()][-MOST_DIFFERENCES:])
    return result


def halved(length: Length) -> Length | None:
    """Return half of a length, as far as it is even; None if it is odd.

    >>> halved(6), halved(7), halved(Unknown(3)).first
    (3, None, 2)
    """
    first, step = (length, 0) if isinstance(length, int) else (length.first, length.step)
    if first % 2 and step % 2 == 0:
        return None
    if isinstance(length, int):
        return first // 2
    return Unknown((first + first % 2 * step) // 2, step if step % 2 else step // 2)


def product(lengths: PartialShape) -> Length:
    """Return the product of lengths.

    >>> product((4, 5)), product((Unknown(), Unknown(), 16)).step
    (20, 16)
    """
    unknown = [n for n in lengths if isinstance(n, Unknown)]
    factor = prod(n for n in lengths if isinstance(n, int))
    if not unknown:
        return factor
    if len(unknown) == 1:
        return unknown[0] if factor == 1 else scaled(unknown[0], times=factor)
    first, step = factor, 0
    for n in unknown:
        step = gcd(step * n.first, step * n.step, first * n.step)
        first *= n.first
    return Unknown(first, step, (*unknown, factor))


def total(lengths: PartialShape) -> Length:
    """Return the sum of lengths.

    >>> total((4, 5)), total((Unknown(), 16)).first
    (9, 17)
    """
    unknown = [n for n in lengths if isinstance(n, Unknown)]
    rest = sum(n for n in lengths if isinstance(n, int))
    if not unknown:
        return rest
    if len(unknown) == 1:
        return scaled(unknown[0], more=rest)
    return Unknown(rest + sum(n.first for n in unknown), gcd(*(n.step for n in unknown)))


def _differ(one: Unknown, other: Unknown) -> bool:
    """Return whether two lengths always differ, as far as that follows from a common axis."""
    pairs = [(own, other.differences.get(axis, own)) for axis, own in one.differences.items()]
    return any(a[0] > b[1] or b[0] > a[1] for a, b in pairs)


def common(lengths: Sequence[Length]) -> Length | None:
    """Return what all of the lengths may be; None if they cannot be the same.

    >>> common([3, Unknown()]), common([3, Unknown(2, 2)])
    (3, None)
    >>> n = Unknown()
    >>> common([n, scaled(n, more=-2)]) is None  # as no length is 2 less than itself
    True
    """
    result = lengths[0]
    for other in lengths[1:]:
        if result is other:
            continue
        if isinstance(result, int) or isinstance(other, int):
            n, unknown = (result, other) if isinstance(result, int) else (other, result)
            assert isinstance(n, int)
            if not may_be(unknown, n):
                return None
            result = n
        elif _differ(result, other) or (result.first - other.first) % gcd(result.step, other.step):
            return None
        elif other.step > result.step:
            result = other
    return result


def common_shape(shapes: Sequence[PartialShape]) -> PartialShape | None:
    """Return what all of the shapes may be; None if they cannot be the same."""
    if len({len(shape) for shape in shapes}) > 1:
        return None
    lengths = [common(of_axis) for of_axis in zip(*shapes, strict=True)]
    found = tuple(n for n in lengths if n is not None)
    return found if len(found) == len(lengths) else None


def either(one: Length, other: Length) -> Length:
    """Return what at least one of two lengths may be.

    >>> either(3, 3), either(6, Unknown(10, 10)).step
    (3, 2)
    """
    if one is other or one == other:
        return one
    (a, b), (c, d) = ((n, 0) if isinstance(n, int) else (n.first, n.step) for n in (one, other))
    return Unknown(min(a, c), gcd(b, d, a - c) or 1)


def text_of(length: Length, name: str, than: Length = 0) -> str:
    """Return a length as text for messages; ``name`` is what an unknown one is called.

    It is said by how much it differs from another one that is called so, ``than``.

    >>> text_of(Unknown(16, 16), "features"), text_of(Unknown(), "width")
    ('a multiple of 16', 'width')
    >>> text_of(product((Unknown(3), Unknown(2, 2))), "features")
    '(3 or more) * (a multiple of 2)'
    """
    if isinstance(length, int):
        return str(length)
    if length.first == length.step > 1:
        return f"a multiple of {length.step}"
    if length.first > 1 and length.factors:
        return " * ".join(
            str(own) if isinstance(own, int) else f"({text_of(own, f'{own.first} or more')})"
            for own in length.factors
            if own != 1
        )
    least = most = 0.0
    if isinstance(than, Unknown):
        axis, (a, b) = [*than.differences.items()][-1]
        c, d = length.differences.get(axis, (a, b))
        least, most = c - b, d - a
    if least <= 0 <= most:
        return name
    if least == most:
        return f"{name} {'-' if most < 0 else '+'} {abs(least):.0f}"
    return f"{'less' if most < 0 else 'more'} than {name}"

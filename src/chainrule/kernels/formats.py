"""What the elementary functions need to know of float32 and float64: limits and polynomials.

Coefficients stand in the order of their powers. tests/kernels/test_elementary.py derives them: they
have almost the least error, relative to the function's value, that so many terms can have.
"""

from typing import NamedTuple


class Format(NamedTuple):
    """A floating-point format."""

    mantissa_bits: int
    exponent_bias: int
    smallest_normal: float
    exp_range: tuple[float, float]  # outside, exp is 0 or inf
    tanh_limit: float  # beyond, tanh is 1
    erf_limit: float  # beyond, erf is 1
    ln2_high: float  # with so few bits that an exponent times it is exact
    ln2_low: float  # the rest
    expm1: tuple[float, ...]  # expm1(r) = r + r**2 * p(r) for |r| < log(2) / 2
    log1p: tuple[float, ...]  # log1p(z) = z - z**2 / 2 + z**3 * p(z) for z from 0 to 1
    atanh: tuple[float, ...]  # 2 * atanh(s) = 2 * s + s**3 * p(s**2) for |s| < 3 - sqrt(8)
    log_erfc: tuple[float, ...]  # log(erfc(x)) = x * p(x) - x for x from 0 to erf_limit
    reciprocal_bits: int  # less the bits of x, those of 1 / x, more or less
    reciprocal_steps: int  # each makes an error its third power
    normal_limit: float  # beyond, the normal distribution's density is 0
    high_bits: int  # those of a number's upper half, whose square is exact
    # exp(x**2 / 2) * cdf(-x) * (x + 4) = p((x - 4) / (x + 4)) for x from 0 to normal_limit
    normal_tail: tuple[float, ...]


SINGLE = Format(
    mantissa_bits=23,
    exponent_bias=127,
    smallest_normal=2.0**-126,
    exp_range=(-104.0, 89.0),
    tanh_limit=9.02,
    erf_limit=3.93,
    ln2_high=0.693359375,
    ln2_low=-0.00021219444005469057,
    expm1=(0.49999997, 0.16666542, 0.041667525, 0.008366673, 0.0013862404),
    log1p=(
        0.333321, -0.24972673, 0.19759122, -0.15520568, 0.10936229, -0.060001653, 0.021369008,
        -0.0035622795,
    ),
    atanh=(0.66666776, 0.3997759, 0.29870573),
    log_erfc=(
        -0.12837917, -0.63661987, -0.10277087, 0.019115604, 0.00025846442, -0.001807089,
        0.0007470644, -0.00017048047, 2.2098302e-05, -1.268416e-06,
    ),
    reciprocal_bits=0x7EF3126E,
    reciprocal_steps=1,
    normal_limit=14.5,
    high_bits=-1 << 12,
    normal_tail=(
        0.75528514, -0.60789657, 0.3871367, -0.1865238, 0.06040504, -0.00752338, -0.0035146791,
        0.00156634, 0.00017964355, -0.00013076937,
    ),
)  # fmt: skip

DOUBLE = Format(
    mantissa_bits=52,
    exponent_bias=1023,
    smallest_normal=2.0**-1022,
    exp_range=(-746.0, 710.0),
    tanh_limit=19.1,
    erf_limit=5.93,
    ln2_high=0.6931471806019545,
    ln2_low=-4.2009150726810846e-11,
    expm1=(
        0.5000000000000006, 0.16666666666666602, 0.04166666666657392, 0.008333333333381647,
        0.0013888888932249966, 0.0001984126973571791, 2.480150461554659e-05, 2.75573929647509e-06,
        2.7626257010035394e-07, 2.5058286683046416e-08,
    ),
    log1p=(
        0.3333333333329527, -0.24999999996272274, 0.19999999851670205, -0.16666663374085142,
        0.1428566750844357, -0.12499540116930997, 0.11107820646638614, -0.09982255923191036,
        0.09016927599452199, -0.08090153634691057, 0.07052137538207326, -0.057743313932192425,
        0.04257360748820267, -0.02698283484444225, 0.013996136188516143, -0.005618955973563667,
        0.0016208803832878222, -0.00029688771038495867, 2.581463515522065e-05,
    ),
    atanh=(
        0.6666666666666736, 0.39999999999405483, 0.28571428744061894, 0.22222198426151224,
        0.18183571057432849, 0.15313895728652202, 0.1479736350587642,
    ),
    log_erfc=(
        -0.12837916709551248, -0.6366197723676181, -0.10277260329968974, 0.019128446954877615,
        0.00020919532496329642, -0.0016962111923152319, 0.0005901498736415829,
        -2.596509606559532e-05, -6.426676325394922e-05, 2.928263567809539e-05,
        -2.7408954526045472e-06, -3.6219251797371177e-06, 2.4764315407757523e-06,
        -8.836047035053859e-07, 1.891892366880203e-07, -1.4363974959094831e-08,
        -5.9256877076780295e-09, 2.7099460113569252e-09, -6.013444997475515e-10,
        8.503405042457021e-11, -7.781870579568374e-12, 4.237565837636596e-13,
        -1.0485096647862202e-14,
    ),
    reciprocal_bits=0x7FDE624DD2F1A800,
    reciprocal_steps=2,
    normal_limit=39.0,
    high_bits=-1 << 27,
    normal_tail=(
        0.7552851304157515, -0.6078966419718921, 0.38713740074221586, -0.18652185795966245,
        0.06039657489076967, -0.007540188966509569, -0.0034796923629719285, 0.0016308184541043275,
        0.00013334425853648728, -0.00023109490855150838, -1.9078887981679707e-06,
        3.514458584771119e-05, 7.151039027703392e-07, -5.920042347433571e-06,
        -6.254672541032211e-07, 1.0218885760813592e-06, 2.644389313178272e-07,
        -1.566019331773672e-07, -7.741578768639134e-08, 1.6061192015803308e-08,
        1.4698088644467448e-08, -3.334180419612479e-10, -1.2079785483142828e-09,
    ),
)  # fmt: skip

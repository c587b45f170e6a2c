"""emcee with a Pool of bolide's: the chain is that of one process, bit for bit."""

from __future__ import annotations

import numpy
import pytest

from bolide.util.multiprocessing import Pool

emcee = pytest.importorskip("emcee")
pytestmark = pytest.mark.dev


def log_probability(x, inverse):
    return -0.5 * numpy.dot(x, inverse @ x)


def chain(pool):
    numpy.random.seed(5)
    inverse = numpy.diag(1.0 / numpy.arange(1, 4))
    start = numpy.random.randn(16, 3)
    sampler = emcee.EnsembleSampler(16, 3, log_probability, args=[inverse], pool=pool)
    sampler.run_mcmc(start, 40)
    return sampler.get_chain()


def test_the_chain_is_the_same(ray):
    with Pool(2) as pool:
        numpy.testing.assert_array_equal(chain(pool), chain(None))

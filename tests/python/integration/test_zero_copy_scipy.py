"""SciPy's sparse matrices and arrays: their three arrays are views of the store."""

from __future__ import annotations

import numpy as np
import pytest

from .store_memory import in_store, peak_of

sparse = pytest.importorskip("scipy.sparse")

pytestmark = pytest.mark.dev


@pytest.mark.filterwarnings("ignore:Constructing a DIA matrix")
@pytest.mark.parametrize("family", ["matrix", "array"])
def test_a_sparse_matrix(ray, family):
    make = sparse.random if family == "matrix" else sparse.random_array
    shape = ((1000, 1500),) if family == "array" else (1000, 1500)
    vector = np.arange(1500.0)
    for kind in ("csr", "csc", "coo", "bsr", "dia"):
        value = make(*shape, density=0.05, format=kind, rng=1)
        ref, peak = peak_of(lambda value=value: ray.put(value))
        assert peak < value.data.nbytes / 4, kind
        back = ray.get(ref)
        assert type(back) is type(value) and back.shape == value.shape
        assert abs(back - value).sum() == 0
        assert in_store(back.data.ctypes.data), kind
        np.testing.assert_array_equal(back @ vector, value @ vector)


def test_in_a_task(ray):
    @ray.remote
    def multiply(matrix, vector):
        return matrix @ vector, matrix.data.flags.writeable

    value = sparse.random(2000, 3000, density=0.02, format="csr", rng=1)
    vector = np.arange(3000.0)
    product, writeable = ray.get(multiply.remote(value, vector))
    np.testing.assert_array_equal(product, value @ vector)
    assert not writeable


def test_lists_of_lists_and_dictionaries(ray):
    for kind in ("lil", "dok"):
        value = sparse.random(100, 100, density=0.1, format=kind, rng=1)
        assert abs(ray.get(ray.put(value)).tocsr() - value.tocsr()).sum() == 0

from itertools import pairwise

import numpy as np
import pytest

from memory_grpc.embedding.provider import checked, normalised, spans
from memory_grpc.errors import EmbeddingUnavailable


def test_checked_returns_contiguous_float32() -> None:
    result = checked(np.eye(4, 3, dtype=np.float64)[:3].T, 3, 3)
    assert result.dtype == np.float32 and result.flags.c_contiguous and result.shape == (3, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_a_value_that_is_not_finite_in_float32_is_refused(value: float) -> None:
    vectors = np.ones((2, 3))
    vectors[1, 2] = value
    with pytest.raises(EmbeddingUnavailable, match="not finite"):
        checked(vectors, 3, 2)


def test_a_zero_vector_is_refused() -> None:
    vectors = np.ones((2, 3))
    vectors[0] = 0
    with pytest.raises(EmbeddingUnavailable, match="zero vector"):
        checked(vectors, 3, 2)


@pytest.mark.parametrize(
    ("shape", "words"), [((2, 4), "4 dimensions; 3 are"), ((1, 3), "the wrong number"), ((6,), "the wrong number")]
)
def test_another_shape_is_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(EmbeddingUnavailable, match=words):
        checked(np.ones(shape), 3, 2)


def test_normalised_rows_have_length_one_and_bad_rows_stay_bad() -> None:
    result = normalised(np.array([[3.0, 4.0], [1e200, 0.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]]))
    np.testing.assert_allclose(result[0], [0.6, 0.8], rtol=1e-6)
    assert not result[2].any()
    assert not np.isfinite(result[3:]).all(axis=1).any()


@pytest.mark.parametrize(
    ("total", "size", "overlap"), [(0, 10, 3), (10, 10, 3), (11, 10, 3), (100, 10, 3), (24, 10, 3)]
)
def test_spans_cover_everything_with_full_pieces_that_overlap(total: int, size: int, overlap: int) -> None:
    pieces = spans(total, size, overlap)
    assert pieces[0][0] == 0 and pieces[-1][1] == total
    assert all(stop - start == min(size, total) for start, stop in pieces)
    for (start, stop), (next_start, next_stop) in pairwise(pieces):
        assert start < next_start <= stop - overlap
        assert stop < next_stop


def test_what_fits_is_one_span() -> None:
    assert spans(10, 10, 3) == [(0, 10)]
    assert len(spans(11, 10, 3)) == 2

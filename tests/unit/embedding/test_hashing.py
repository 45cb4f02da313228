import numpy as np

from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.embedding.provider import Vectors


def embed(*texts: str, dimensions: int = 384) -> Vectors:
    provider = HashingProvider(dimensions)
    return provider.encode([window for text in texts for window in provider.windows(text)])


def test_the_vector_is_the_same_in_every_process_and_batch() -> None:
    # Written down once: a change of the hash would silently change every test that ranks by it.
    alone = embed("I love Python programming", dimensions=16)[0]
    np.testing.assert_array_equal(alone, embed("other words", "I love Python programming", dimensions=16)[1])
    expected = np.zeros(16)
    expected[[1, 2, 6, 8, 9]] = np.array([1, 1, 1, 1, 1]) * 0.288675
    expected[[3, 5, 10]] = -0.288675
    expected[14] = -0.57735
    np.testing.assert_allclose(alone, expected, atol=1e-6)


def test_shared_words_make_texts_similar_whatever_their_case() -> None:
    query, near, far = embed("python programming language", "I love PYTHON programming", "the cat sat on my mat")
    assert query @ near > 0.5 > 0.25 > abs(query @ far)


def test_a_text_without_words_has_a_valid_vector_of_its_own() -> None:
    vectors = embed("", "!?", "   ")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert vectors[0] @ vectors[1] < 0.99 and vectors[1] @ vectors[2] < 0.99


def test_words_that_cancel_out_still_give_a_valid_vector() -> None:
    vectors = embed(*(f"w{i} w{i + 1}" for i in range(200)), dimensions=1)
    np.testing.assert_array_equal(np.abs(vectors), 1)


def test_long_texts_are_cut_into_windows_of_256_words_with_32_shared() -> None:
    provider = HashingProvider()
    words = [f"w{i}" for i in range(600)]
    windows = provider.windows(" ".join(words))
    assert [window.payload for window in windows] == [words[0:256], words[224:480], words[344:600]]
    assert [window.length for window in windows] == [256, 256, 256]
    assert len(provider.windows(" ".join(words[:256]))) == 1

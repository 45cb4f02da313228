"""How many tokens texts have, for whoever has a budget of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from memory_grpc.errors import StartupError

BYTES_A_TOKEN = 4
"""What is reckoned with where there is no tokenizer: about right for English."""


class TokenCounter:
    """Counts by a tokenizer, without the special tokens that a model puts around a text; thread-safe."""

    def __init__(self, name: str, tokenizer: Tokenizer | None) -> None:
        """``name`` is what callers are told; without a tokenizer bytes of UTF-8 are counted."""
        self.name = name
        self._tokenizer = tokenizer

    @classmethod
    def of(cls, file: Path | None, model_name: str, of_model: Tokenizer | None) -> TokenCounter:
        """The one of a ``tokenizer.json``; else the model's own; else an estimate. Raises StartupError."""
        if file is not None:
            return cls(file.name, read_tokenizer(file, "MEMORY_CONTEXT_TOKENIZER"))
        if of_model is not None:
            return cls(model_name, of_model)
        return cls(f"{BYTES_A_TOKEN} bytes a token", None)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text. Takes a second for some megabytes, without holding the interpreter's lock."""
        if self._tokenizer is None:
            return [-(-len(text.encode()) // BYTES_A_TOKEN) for text in texts]
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(one.ids) for one in encoded]


def read_tokenizer(file: Path, variable: str) -> Tokenizer:
    """The tokenizer in a ``tokenizer.json``, neither cutting nor padding; StartupError, which names the variable."""
    try:
        tokenizer = Tokenizer.from_file(str(file))
    # The library raises Exception itself, for a file that is not there and for one that is no tokenizer.
    except Exception:
        raise StartupError(f"{variable}: {file} is not a readable tokenizer.json.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer

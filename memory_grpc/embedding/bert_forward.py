"""The forward pass of BERT with mean pooling, as modules that TorchScript can compile.

Compiled, a whole batch is one call that holds no interpreter lock. Run by Python, each of its hundred operators takes
that lock anew, and waits for it whenever the event loop is busy: with another thread that computes all the time, two
inference threads then do half of the batches, and a single text takes 50 ms instead of 8 (decision 25). Where
TorchScript is missing or refuses, the same modules are run by Python, with the same results.

No ``from __future__ import annotations`` here: TorchScript reads the annotations.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple, Optional

import structlog
import torch
from torch import Tensor, nn
from torch.nn import functional

FEW_ROWS = 64
"""Up to so many tokens are few: one text, mostly."""

log = structlog.get_logger(__name__)


def can_pack(weight: Tensor) -> bool:
    """Whether oneDNN is there and multiplies numbers of this type on this CPU."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return weight.dtype is torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Layout(NamedTuple):
    """Where the tokens of texts of several lengths are, one text after the other; attention alone needs them padded.

    Everything else works token by token, so that padding costs nothing there. There may be more rows than tokens; the
    rows at the end mean nothing.
    """

    texts: int
    longest: int
    lengths: Tensor
    positions: Tensor
    """Of each row in its text."""
    is_dense: bool
    """Whether the padded form is the rows as they are."""
    rows: Tensor
    """Of each padded place, its row; that of some token where the mask hides it, since it must be finite."""
    places: Tensor
    """Of each row, its padded place."""
    mask: Optional[Tensor]  # noqa: UP045 - TorchScript
    """bool ``[texts, 1, 1, longest]``, true for tokens; None when all texts are of one length."""


def layout(lengths: list[int], rows: int, device: torch.device) -> Layout:
    """Texts of so many tokens each in ``rows`` rows."""
    texts, longest = len(lengths), max(lengths)
    of_texts = torch.tensor(lengths, device=device)
    places = torch.arange(longest, device=device)
    is_token = places < of_texts[:, None]
    spare = rows - sum(lengths)
    mask: Optional[Tensor] = None  # noqa: UP045 - TorchScript
    if min(lengths) < longest:
        mask = is_token[:, None, None, :]
    flat = is_token.flatten()
    return Layout(
        texts,
        longest,
        of_texts,
        functional.pad(places.expand(texts, longest)[is_token], [0, spare]),
        mask is None and spare == 0,
        flat.cumsum(0) - 1,
        functional.pad(flat.nonzero().flatten(), [0, spare]),
        mask,
    )


def spread(x: Tensor, at: Layout) -> Tensor:
    """``[rows, width]`` to ``[texts, longest, width]``."""
    padded = x if at.is_dense else x.index_select(0, at.rows)
    return padded.view(at.texts, at.longest, -1)


def gather(x: Tensor, at: Layout) -> Tensor:
    """``[texts, longest, …]`` to ``[rows, width]``."""
    flat = x.reshape(at.texts * at.longest, -1)
    return flat if at.is_dense else flat.index_select(0, at.places)


def mean(x: Tensor, at: Layout) -> Tensor:
    """The mean of each text's rows: ``[rows, width]`` to ``[texts, width]``."""
    padded = spread(x, at)
    mask = at.mask
    if mask is None:
        return padded.mean(dim=1)
    return (padded * mask.view(at.texts, at.longest, 1)).sum(dim=1) / at.lengths[:, None]


class Linear(nn.Module):
    """x · weightᵀ + bias, and GELU of that where asked; x is ``[rows, width]``.

    On a CPU the weight is packed once into the layout that oneDNN multiplies with, instead of by every product, and
    GELU comes with the product.
    """

    # Not so `packed`: TorchScript then leaves out what needs oneDNN's operators where nothing is packed.
    plain: Optional[Tensor]  # noqa: UP045 - TorchScript

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool = False) -> None:
        super().__init__()
        self.bias = bias
        self.gelu = gelu
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, FEW_ROWS) if can_pack(weight) else None
        self.plain = None if can_pack(weight) else weight.t().contiguous()

    def forward(self, x: Tensor) -> Tensor:
        packed, plain = self.packed, self.plain
        if packed is not None:
            if self.gelu:
                with_gelu: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, self.bias, "gelu", [], "none")
                return with_gelu
            product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, self.bias, "none", [], "")
            return product
        assert plain is not None, "what is not packed is plain"
        product = torch.addmm(self.bias, x, plain)
        return functional.gelu(product) if self.gelu else product


class Norm(nn.Module):
    """Layer normalisation over the width."""

    def __init__(self, weight: Tensor, bias: Tensor, eps: float) -> None:
        super().__init__()
        self.weight = weight
        self.bias = bias
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, list(self.weight.shape), self.weight, self.bias, self.eps)


class Layer(nn.Module):
    """One transformer block; query, key and value are one product instead of three."""

    def __init__(
        self, heads: int, qkv: Linear, attended: Linear, attended_norm: Norm, wide: Linear, narrow: Linear, norm: Norm
    ) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = qkv
        self.attended = attended
        self.attended_norm = attended_norm
        self.wide = wide
        self.narrow = narrow
        self.norm = norm

    def forward(self, x: Tensor, at: Layout) -> Tensor:
        width = x.shape[1]
        qkv = spread(self.qkv(x), at).view(at.texts, at.longest, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=at.mask)
        x = self.attended_norm(self.attended(gather(mixed.transpose(1, 2), at)) + x)
        normed: Tensor = self.norm(self.narrow(self.wide(x)) + x)
        return normed


class Forward(nn.Module):
    """Token ids to normalised sentence vectors."""

    def __init__(self, words: Tensor, positions: Tensor, norm: Norm, layers: list[Layer]) -> None:
        super().__init__()
        self.words = words
        self.positions = positions
        self.norm = norm
        self.layers = nn.ModuleList(layers)
        self.few = FEW_ROWS
        self.packs = can_pack(words)

    def forward(self, ids: Tensor, lengths: list[int]) -> Tensor:
        """int64 ``[tokens]``, text after text, and the tokens of each text, to ``[texts, dimensions]``."""
        rows = self.rows(ids.shape[0])
        at = layout(lengths, rows, ids.device)
        ids = functional.pad(ids, [0, rows - ids.shape[0]])
        x = self.norm(functional.embedding(ids, self.words) + self.positions[at.positions])
        for layer in self.layers:
            x = layer(x, at)
        return functional.normalize(mean(x.float(), at), dim=1)

    def rows(self, tokens: int) -> int:
        """How many rows to work with. oneDNN compiles its code for every number of them, which takes milliseconds and
        megabytes: they have to be few."""
        if not self.packs:
            return tokens
        step = 8 if tokens <= 2 * self.few else 16
        return -(-tokens // step) * step


def compiled(forward: Forward) -> Callable[[Tensor, list[int]], Tensor]:
    """The same in one piece that holds no interpreter lock, or as it is when this torch cannot."""
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore", DeprecationWarning)  # decision 25
            script: Callable[[Tensor, list[int]], Tensor] = torch.jit.script(forward)
            # It looks at the first run and changes itself in the second: not at the cost of the first text.
            for _ in range(2):
                script(torch.zeros(1, dtype=torch.int64, device=forward.words.device), [1])
    except Exception as error:
        log.warning("embedding_forward_not_compiled", error=type(error).__name__)
        return forward
    return script

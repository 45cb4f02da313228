"""Sentence-transformers models of a few random weights, made in a test: no hub is asked, and no meaning is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from memory_grpc.embedding import model_files

Kind = Literal["bert", "xlm-roberta", "qwen3"]
CORPUS = [
    "query: what did she say about the adoption agencies, and when?",
    "passage: I love Python programming, and my cat is called Biscuit.",
    "Instruct: Given a question, retrieve what was said\nQuery: naïve café, база данных, 数据库",
    "The quick brown fox jumps over the lazy dog; 0123456789 words of a long text, far too long for one window.",
]


def tiny_model(
    folder: Path,
    kind: Kind = "bert",
    *,
    prompts: dict[str, str] | None = None,
    default_prompt_name: str | None = None,
    pooling: str = "mean",
    include_prompt: bool = True,
    length: int = 64,
    width: int = 32,
) -> Path:
    """A model in ``folder``: like E5 and BGE (bert), multilingual E5 (xlm-roberta) or Qwen3-Embedding, but tiny."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast

    torch.manual_seed(7)
    base = folder.with_name(f"{folder.name}-base")
    if kind == "bert":
        tokenizer = AutoTokenizer.from_pretrained(str(model_files.resolve("all-MiniLM-L6-v2")))
    else:
        made = _unigram() if kind == "xlm-roberta" else _byte_level()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=made,
            pad_token="<pad>",
            eos_token="</s>",
            padding_side="left" if kind == "qwen3" else "right",
        )
    sizes: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": width}
    if kind == "qwen3":
        sizes |= {"num_key_value_heads": 1, "head_dim": 16}
    config = AutoConfig.for_model(
        kind,
        **sizes,
        intermediate_size=2 * width,
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
    )
    AutoModel.from_config(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    transformer = Transformer(str(base), max_seq_length=length)
    pool = Pooling(width, pooling_mode=pooling, include_prompt=include_prompt)
    model = SentenceTransformer(
        modules=[transformer, pool, Normalize()],
        prompts=prompts,
        default_prompt_name=default_prompt_name,
        device="cpu",
    )
    model.save(str(folder), create_model_card=False)
    return folder


def tiny_cross_encoder(folder: Path, *, labels: int = 1) -> Path:
    """A cross-encoder in ``folder``, like those of MS MARCO but tiny: two layers, random weights."""
    from sentence_transformers import CrossEncoder
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(7)
    base = folder.with_name(f"{folder.name}-base")
    tokenizer = AutoTokenizer.from_pretrained(str(model_files.resolve("all-MiniLM-L6-v2")))
    config = AutoConfig.for_model(
        "bert",
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_size=32,
        intermediate_size=64,
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
        num_labels=labels,
        initializer_range=0.5,
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    CrossEncoder(str(base), device="cpu", max_length=128).save(str(folder), create_model_card=False)
    return folder


def _unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    return _framed(tokenizer, trainer, "<s> $A </s>", ["<s>", "</s>"])


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return _framed(tokenizer, trainer, "$A </s>", ["</s>"])


def _framed(tokenizer: Tokenizer, trainer: Any, frame: str, special: list[str]) -> Tokenizer:
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=[(token, tokenizer.token_to_id(token)) for token in special]
    )
    return tokenizer

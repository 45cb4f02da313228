"""What the embedding path costs beside the model: ``python bench/embedding.py LOCOMO.json [--texts N] [--rounds N]``.

Every figure is a ratio to the bare model on the same texts in the same run: its forward pass over ready token ids, in
batches of 64 sorted by length, on one thread. The machine's speed wavers, so the measurements take turns and the
median of the rounds counts. Texts per CPU second (of this process, all threads) hardly notice what else the machine
does, so their ratios are the ones to trust on a shared machine. ``--workers 1`` (the default) compares one inference
thread with one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import structlog
import torch
from sentence_transformers import SentenceTransformer

from memory_grpc.embedding import Embedder, Window, bert
from memory_grpc.embedding.model_files import resolve
from memory_grpc.embedding.prompts import Prompts
from memory_grpc.embedding.sentence_transformer import SentenceTransformerProvider

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
CALLERS = 64


def turns(file: Path) -> list[str]:
    """The texts of all turns of a LoCoMo file, in order."""
    conversations = [sample["conversation"] for sample in json.loads(file.read_text())]
    sessions = [part for c in conversations for key, part in c.items() if isinstance(part, list)]
    return [turn["text"] for session in sessions for turn in session]


def features(provider: SentenceTransformerProvider, windows: list[Window]) -> dict[str, torch.Tensor]:
    """Padded model input for the reference model."""
    ids, mask = provider._tokens.padded(windows)
    tensor = torch.from_numpy(ids)
    return {
        "input_ids": tensor,
        "token_type_ids": torch.zeros_like(tensor),
        "attention_mask": torch.from_numpy(mask),
    }


async def callers(embedder: Embedder, texts: list[str]) -> None:
    """64 callers, each sending its next text when the last one is answered."""
    remaining = iter(texts)

    async def caller() -> None:
        for text in remaining:
            await embedder.embed_messages([text])

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--singles", type=int, default=100)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    started = time.perf_counter()
    provider = SentenceTransformerProvider(MODEL)
    print(f"provider loaded in {time.perf_counter() - started:.1f} s: {provider.identity}")
    reference: Any = SentenceTransformer(str(resolve(MODEL)), device="cpu")
    encoder, _ = bert.load(resolve(MODEL), torch.device("cpu"), torch.float32, Prompts()) or (None, None)
    assert encoder is not None and encoder._few is not None, "the default model is a plain BERT"
    torch_forward, few = encoder._forward, encoder._few
    embedder = Embedder(provider, workers=arguments.workers, query_cache_size=0)
    await embedder.start()

    every = turns(arguments.file)
    texts = every[:: max(1, len(every) // arguments.texts)][: arguments.texts]
    by_length = sorted((provider.windows(text)[0] for text in texts), key=lambda window: window.length)
    batches = [by_length[i : i + CALLERS] for i in range(0, len(by_length), CALLERS)]
    print(f"{len(texts)} turns, {sum(w.length for w in by_length) / len(texts):.0f} tokens on average")

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                reference(features(provider, batch))

    def own() -> None:
        for batch in batches:
            provider.encode(batch)

    def onnx() -> None:
        for batch in batches:
            few([window.payload for window in batch])

    def encode() -> None:
        reference.encode(texts, batch_size=CALLERS, show_progress_bar=False)

    async def timed(work: Callable[[], Any]) -> tuple[float, float]:
        begun, begun_cpu = time.perf_counter(), time.process_time()
        if (awaitable := work()) is not None:
            await awaitable
        return len(texts) / (time.perf_counter() - begun), len(texts) / (time.process_time() - begun_cpu)

    works: dict[str, Callable[[], Any]] = {
        "bare model, batches of 64 by length": bare,
        "this provider, the same batches": own,
        "ONNX Runtime, the same batches": onnx,
        "SentenceTransformer.encode, batch 64": encode,
        f"Embedder, {CALLERS} callers": lambda: callers(embedder, texts),
        "Embedder, one call": lambda: embedder.embed_messages(texts),
    }
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(arguments.rounds):
        for name, work in works.items():
            rates[name].append(await timed(work))
    medians = {name: [statistics.median(column) for column in zip(*r, strict=True)] for name, r in rates.items()}
    base, base_cpu = medians["bare model, batches of 64 by length"]
    print(f"\n{'':38} {'texts/s':>8} {'of bare':>8} {'texts/CPU s':>12} {'of bare':>8}   rounds, texts/s")
    for name, (rate, cpu) in medians.items():
        every_round = " ".join(f"{wall:.0f}" for wall, _ in rates[name])
        print(f"{name:38} {rate:8.1f} {rate / base:8.2f} {cpu:12.1f} {cpu / base_cpu:8.2f}   {every_round}")

    single = sorted(texts, key=len)[len(texts) // 2]
    window = provider.windows(single)[:1]
    ready = features(provider, window)
    times: dict[str, list[float]] = {
        "bare model": [],
        "this provider": [],
        "the same by torch": [],
        "encode": [],
        "message": [],
        "query": [],
    }

    def bare_single() -> None:
        with torch.inference_mode():
            reference(dict(ready))

    def own_single() -> None:
        provider.encode(window)

    def torch_single() -> None:
        with torch.inference_mode():
            torch_forward(torch.from_numpy(window[0].payload), [window[0].length])

    def encode_single() -> None:
        reference.encode(single, show_progress_bar=False)

    singles: dict[str, Callable[[], Any]] = {
        "bare model": bare_single,
        "this provider": own_single,
        "the same by torch": torch_single,
        "encode": encode_single,
        "message": lambda: embedder.embed_messages([single]),
        "query": lambda: embedder.embed_query(single),
    }
    for _ in range(arguments.singles):
        for name, work in singles.items():
            begun = time.perf_counter()
            if (awaitable := work()) is not None:
                await awaitable
            times[name].append((time.perf_counter() - begun) * 1000)
    print(f"\none text of {window[0].length} tokens, ms {'p50':>12} {'p95':>8} {'p50 - bare':>11}")
    floor = statistics.median(times["bare model"])
    for name, values in times.items():
        p50, p95 = statistics.median(values), sorted(values)[int(0.95 * len(values))]
        print(f"{name:32} {p50:8.2f} {p95:8.2f} {p50 - floor:+11.2f}")
    await embedder.close()


if __name__ == "__main__":
    asyncio.run(main())

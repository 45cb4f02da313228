"""The bare model, in a process of its own: SentenceTransformer on all cores, with nothing of the service around it.

It is asked in several forms, and the fastest is what the service is measured against: ``encode`` as its users call it,
and the model's modules on batches sorted by length, in one thread that uses all cores or one thread a core. Run as a
program it reads requests, one JSON object a line, from standard input, and answers each with a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
ROOT = Path(__file__).resolve().parent.parent.parent
# way × texts in a batch × one thread a core (or one thread that uses all cores)
FORMS = [
    ("encode", 32, False),
    ("encode", 32, True),
    ("encode", 64, True),
    ("sorted", 16, True),
    ("sorted", 32, True),
    ("sorted", 64, True),
]


@dataclass(frozen=True, slots=True)
class Form:
    """A way to ask the bare model, and its rate when it was chosen."""

    index: int
    texts_per_second: float

    @property
    def name(self) -> str:
        """For people."""
        way, size, parallel = FORMS[self.index]
        call = "`encode`" if way == "encode" else "the modules, texts sorted by length,"
        return f"{call} in batches of {size}, {'a thread a core' if parallel else 'one thread over all cores'}"


class Bare:
    """The process; it idles, with the model loaded, between two requests."""

    def __init__(self, precision: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ingesting.bare", precision],
            cwd=ROOT / "bench",
            env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._read()

    def choose(self, texts: Sequence[str]) -> Form:
        """Tries every form twice on these texts; the fastest."""
        rates = [max(len(texts) / self.seconds(i, texts) for _ in range(2)) for i in range(len(FORMS))]
        best = max(range(len(FORMS)), key=rates.__getitem__)
        return Form(best, rates[best])

    def seconds(self, form: int, texts: Sequence[str]) -> float:
        """How long it takes to embed the texts, all of them at once."""
        return float(self._ask({"form": form, "texts": list(texts)}))

    def singles_ms(self, texts: Sequence[str], *, parallel: bool) -> list[float]:
        """Milliseconds of each text embedded by itself; ``parallel``: by a thread a core."""
        return [float(ms) for ms in self._ask({"singles": list(texts), "parallel": parallel})]

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("The bare model ended.")
        return json.loads(line)


def _serve(precision: str) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    from memory_grpc.embedding.model_files import resolve

    options = {"dtype": torch.bfloat16} if precision == "bf16" else {}
    model: Any = SentenceTransformer(str(resolve(MODEL)), device="cpu", local_files_only=True, model_kwargs=options)
    cores = len(os.sched_getaffinity(0))

    def embed(way: str, texts: Sequence[str], size: int) -> None:
        if way == "encode":
            model.encode(texts, batch_size=size, show_progress_bar=False)
            return
        ordered = sorted(texts, key=len)
        with torch.inference_mode():
            for start in range(0, len(ordered), size):
                model(model.preprocess(ordered[start : start + size]))["sentence_embedding"].float().numpy()

    def timed(form: int, texts: list[str]) -> float:
        way, size, parallel = FORMS[form]

        def share(index: int) -> None:
            torch.set_num_threads(1)  # OpenMP counts per calling thread
            embed(way, ordered[index::cores], size)

        started = time.perf_counter()
        if parallel:
            ordered = sorted(texts, key=len)  # so that both threads get as much of every length
            threads = [threading.Thread(target=share, args=(index,)) for index in range(cores)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:
            torch.set_num_threads(cores)
            embed(way, texts, size)
        return time.perf_counter() - started

    def singles(texts: list[str], parallel: bool) -> list[float]:
        torch.set_num_threads(cores if parallel else 1)
        taken = []
        for text in texts:
            started = time.perf_counter()
            model.encode(text, show_progress_bar=False)
            taken.append((time.perf_counter() - started) * 1000)
        return taken

    embed("encode", ["warm up"] * 4, 4)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "singles" in request:
            answer: Any = singles(request["singles"], request["parallel"])
        else:
            answer = timed(request["form"], request["texts"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])

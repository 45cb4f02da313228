"""Whole searches over gRPC: the server in a process of its own, with the real model, before the filled database."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from ingesting import machine
from tqdm import tqdm

from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from scaling.measuring import TOP_K, Measured
from scaling.synthetic import NOW, Question


def ask(
    dsn: str, directory: Path, measured: Iterable[Measured], warming: Sequence[Question], asked: Sequence[Question]
) -> None:
    """Asks each tenant by each ranking, one caller and one question after the other, after others that warm it up."""
    as_of = Timestamp()
    as_of.FromDatetime(NOW)
    with (
        machine.serving(machine.url(dsn), directory) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = MemoryServiceStub(channel)

        def call(m: Measured, question: Question) -> float:
            # Other words for each, so that no cache knows the vector.
            query = f"{question.text} {m.tenant} {m.ranking}"
            request = pb.SearchMemoriesRequest(
                tenant_id=m.tenant, query=query, ranking=m.ranking, top_k=TOP_K, as_of=as_of
            )
            started = time.perf_counter()
            stub.SearchMemories(request, timeout=60)
            return (time.perf_counter() - started) * 1000

        for m in tqdm(list(measured), desc="calling"):
            for question in warming:
                call(m, question)
            m.calls = [call(m, question) for question in asked]

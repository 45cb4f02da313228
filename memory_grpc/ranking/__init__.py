"""Hybrid ranking: what a query says beyond its embedding, worked out in plain Python before one SQL statement scores.

Nothing here touches a database, a clock or a model: the same query, participants and instant give the same plan.
"""

from memory_grpc.ranking.dates import DateRange
from memory_grpc.ranking.names import Participants
from memory_grpc.ranking.plan import QueryPlan, plan_query
from memory_grpc.ranking.weights import HybridWeights

__all__ = ["DateRange", "HybridWeights", "Participants", "QueryPlan", "plan_query"]

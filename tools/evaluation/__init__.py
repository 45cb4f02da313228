"""Experiments with the rankings: what ``memory-grpc eval`` measures, also with weights changed.

::

    python -m tools.evaluation locomo10.json --ablation    against a server that runs
    make eval FILE=locomo10.json ARGS=--ablation           starts one

Weights are changed through the tenants' policies, which hold again afterwards.
"""

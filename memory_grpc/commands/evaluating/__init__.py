"""``memory-grpc eval``: how much of the evidence for a question the service finds, through its own API.

::

    files → sources → dataset (questions with evidence) ─┐
              └→ loading (turns that are not there) ─────┴→ run: SearchMemories, by each ranking
                 └→ waiting (for embeddings)                └→ metrics, intervals → report (table, JSON lines)
                                                                                       └→ comparing (two runs)

Turns come from the parser of ``import``, so that what is evaluated is what an import stores. Experiments with weights
are for maintainers, in tools/evaluation.
"""

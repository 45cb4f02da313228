"""``memory-grpc eval``: how much of the evidence for a question the service finds, through its own API.

::

    file → dataset (questions with evidence) ─┐
       └→ loading (turns that are not there) ─┼→ run: per variant, SetTenantPolicy and SearchMemories
          variants (rankings, parts off) ─────┘     └→ metrics → report (table, JSON lines)

Turns come from the parser of ``import``, so that what is evaluated is what an import stores.
"""

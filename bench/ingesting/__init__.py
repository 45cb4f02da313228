"""The parts of `make bench-ingest`.

::

    ingest.py ──▶ parts.py ──▶ machine.py   Postgres, the server, Envoy: processes of their own
                     │    └──▶ clients.py   callers: unary, REST, batch, stream, search
                     ├───────▶ bare.py      the model alone, a process of its own
                     └───────▶ report.py    table and plot
"""

"""Postgres: the pool, the named queries, one module a table. Knows nothing of gRPC."""

"""What ``memory-grpc up`` runs besides the server: a real Postgres and a real Envoy, as child processes.

No child outlives its parent, however the parent ends: see :mod:`memory_grpc.local.child`.
"""

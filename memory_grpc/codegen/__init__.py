"""Writes gen/ from proto/: python stubs, the descriptor set and the OpenAPI document. Runs in a checkout only.

::

    python -m memory_grpc.codegen            write gen/
    python -m memory_grpc.codegen --check    compare gen/ with what would be written
    python -m memory_grpc.codegen --lint     buf lint, offline
    python -m memory_grpc.codegen --breaking AGAINST.binpb

Flow: ``protoc`` (files) → ``contract`` (the descriptor set as plain data) → ``schemas``, ``operations``, ``failures`` →
``openapi`` (the document). Nothing here is imported by the running service.
"""

"""Writes gen/ from proto/: python stubs, the descriptor set and the OpenAPI document. Runs in a checkout only.

::

    python -m tools.codegen           write gen/
    python -m tools.codegen --check   compare gen/ with what would be written
    python -m tools.codegen --lint    buf lint, offline
    python -m tools.codegen --breaking AGAINST.binpb

Flow: ``protoc`` (files) → ``contract`` (the descriptor set as plain data) → ``schemas``, ``operations``, ``failures`` →
``openapi`` (the document). Nothing here is imported by the running service.
"""

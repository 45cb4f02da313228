"""Use cases, one a module: no gRPC, no SQL text."""

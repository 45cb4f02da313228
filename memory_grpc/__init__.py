"""AI Memory Layer: a deterministic memory service for conversational AI, over gRPC and REST."""

__version__ = "0.1.0"

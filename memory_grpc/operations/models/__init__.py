"""Embedding models, and the change from one to another."""

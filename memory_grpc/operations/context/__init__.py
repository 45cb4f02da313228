"""Contexts for prompts."""

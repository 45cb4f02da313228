"""Planned erasures of many messages."""

"""Tokens of an identity provider (JWT), beside API keys."""

"""Tenants' policies."""

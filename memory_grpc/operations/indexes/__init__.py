"""Graphs and word indexes of large tenants."""

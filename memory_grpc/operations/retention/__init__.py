"""Retention sweeps."""

"""What happens around every RPC, in one order. See ``chain.py``."""

"""Faults for real: processes killed, connections cut, garbage sent. See docs/reliability.md."""

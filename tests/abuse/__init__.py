"""One caller against all others: a program a module, each with one function ``attack``."""

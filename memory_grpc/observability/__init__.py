"""What can be seen from outside: logs, metrics and the HTTP side that shows them."""

"""What only those who maintain the service run, from a checkout: no part of the installed package."""

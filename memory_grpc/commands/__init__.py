"""The bodies of the commands of ``memory-grpc``; ``memory_grpc/cli.py`` holds their options."""

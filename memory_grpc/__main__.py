"""``python -m memory_grpc`` is ``memory-grpc``."""

from memory_grpc.cli import main

if __name__ == "__main__":
    main()

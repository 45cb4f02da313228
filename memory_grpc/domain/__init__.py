"""The values that operations and the store exchange: plain, immutable, free of protobuf and SQL."""

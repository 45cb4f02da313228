"""``memory-grpc export``, and the import of what it wrote: a line a record, as docs/transfer.md describes them."""

"""What becomes of messages: stored one by one, in batches or by a stream, and fetched."""

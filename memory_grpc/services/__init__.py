"""One module a proto service: protobuf to the service's own values and back, nothing else."""

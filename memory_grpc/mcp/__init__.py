"""``memory-grpc mcp``: the memory of one user as tools of the Model Context Protocol. Needs the extra ``mcp``."""

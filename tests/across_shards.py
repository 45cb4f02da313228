"""The statements that ask more than one shard of a Citus cluster, or a shard and the coordinator, and why."""

# Of no one tenant: every shard is asked.
ALL_SHARDS = {
    "messages.get": "Of the id of a message alone, with a key of every tenant: a look-up in an index on each shard. "
    "With a key of named tenants, on their shards.",
    "messages.tenants": "The sweep and a re-embedding ask once a run who there is.",
    "vocabularies.due": "A job asks whose words are to change: a row a tenant.",
    "erasures.open": "A job asks which erasures have something left to do: a small partial index.",
    "erasures.expire": "The same of plans that were not applied.",
    "idempotency.expire": "The sweep forgets old request ids of every tenant, in batches.",
    "graphs.sizes": "Which tenants need a graph of their own. Not run on Citus, where none are built yet.",
    "word_index.due": "Which of those tenants' words are to be counted. Not run on Citus either.",
}

# Of one tenant's shard and of a table on the coordinator: Citus carries the ids from one to the other.
SHARD_AND_COORDINATOR = {
    "jobs.again": "Marks messages and queues them.",
    "jobs.finish": "Marks messages and takes them out of the queue.",
    "jobs.retry_failed": "Marks messages and queues them.",
    "retention.delete": "Deletes messages, and takes them out of the queues.",
    "revisions.remove_vectors": "Removes vectors, and takes the message out of the queues.",
    "word_index.due": "As above.",
}

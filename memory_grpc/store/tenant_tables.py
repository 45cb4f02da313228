"""The one list of the tables that hold tenants' data: what row-level security covers, and what belongs to a message.

Whoever goes through a tenant's data goes through this list; a test holds it against the database.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TenantTable:
    """A table with a ``tenant_id``. ``message_column`` holds the id of the message that a row belongs to, None where
    rows are the tenant's as a whole; ``cascades`` says that the row goes with its message by itself. ``distributed``:
    Citus spreads it over its nodes; what is asked across tenants is small and stays on the coordinator."""

    name: str
    message_column: str | None = None
    cascades: bool = False
    distributed: bool = True


TENANT_TABLES = (
    TenantTable("messages", "id"),
    TenantTable("message_embeddings", "message_id", cascades=True),
    TenantTable("message_lexemes", "message_id", cascades=True),
    TenantTable("message_revisions", "message_id", cascades=True),
    TenantTable("revision_embeddings", "message_id", cascades=True),
    TenantTable("revision_lexemes", "message_id", cascades=True),
    TenantTable("idempotency_keys", "message_id"),
    TenantTable("embedding_jobs", "message_id", distributed=False),
    TenantTable("reembedding_backlog", "message_id", distributed=False),
    TenantTable("erasure_items", "message_id"),
    TenantTable("tenant_policies"),
    TenantTable("tenant_graphs", distributed=False),
    TenantTable("tenant_models", distributed=False),
    TenantTable("tenant_vocabularies"),
    TenantTable("tenant_words"),
    TenantTable("tenant_word_statistics"),
    # What was done to a tenant outlives its data.
    TenantTable("audit_events", distributed=False),
    TenantTable("erased_messages"),
    TenantTable("erasures"),
)

# Where Citus has them, by the names of the tables: the first is the one that the others are placed beside.
DISTRIBUTED = tuple(table.name for table in TENANT_TABLES if table.distributed)

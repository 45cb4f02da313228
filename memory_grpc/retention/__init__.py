"""The scheduled sweep of all tenants, under a lease in the database.

::

    sleeping ──due──▶ asking ──lease──▶ sweeping ──done──▶ sleeping
                        │                  │
                        └──held by other──▶└──lease lost──▶ sleeping

Every server runs the scheduler and wakes now and then. A sweep is due when the last one, on whatever server, began
MEMORY_RETENTION_SCHEDULE_SECONDS ago or more, by the database's clock. The lease is renewed, and thereby checked,
inside each batch's transaction: a server that was stopped past its lease finds it lost and stops before it changes a
row.
"""

"""What a server does without being called: one module a job, and ``start.py``, which says when each is at work.

Jobs stand on the operations and the store; nothing but the composition root knows them.
"""

"""Parts of ``bench/citus.py``: how both databases get the same rows, what is asked of both, how
fast they answer, and how the cluster is changed under load."""

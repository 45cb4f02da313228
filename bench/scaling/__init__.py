"""Parts of ``bench/large.py``: what is made up, how it is stored, how it is measured and what is printed."""

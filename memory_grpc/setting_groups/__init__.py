"""The fields of Settings, a module a section.

A class's docstring is the section's heading in ``.env.example``.
"""

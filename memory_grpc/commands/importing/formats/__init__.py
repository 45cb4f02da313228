"""What other programs export, each format in a module of its own: ``turns(path, reading)`` yields it turn by turn.

A format reads what is there and decides nothing else: which role a speaker has in the service, what a turn is known by
and where a later run goes on is the same for all of them (``history``).
"""

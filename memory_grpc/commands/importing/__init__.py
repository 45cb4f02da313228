"""``memory-grpc import``: a file of messages into the service, each once, however often the import is cut off.

::

    file → source (jsonl, json_list, locomo, history) → records → batches of one tenant → sender → BatchIngestMessages
                                                                        └→ ledger → progress file

``history`` reads what other programs export, each format by a module of ``formats``.

Two things make a line count once. Its ``request_id`` depends on the file's content up to it and on nothing else (that
of a turn of an export on the turn's own id), and is kept by the server as long as the message is
(``keep_request_id``), so that it knows the line again, from wherever and whenever it is sent. And the progress file
holds how far the server has acknowledged everything, with a digest of the file up to there, so that a later run skips
it.

Several batches are under way at once; ``order`` says which of them wait for others.
"""

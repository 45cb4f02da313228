"""Exports of other programs, small and written for the tests: shaped as those write them, about nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

START = 1_714_557_600.25  # 2024-05-01T10:00:00.25Z


def node(
    id_: str, parent: str | None, role: str, *parts: Any, at: float | None = START, **message: Any
) -> dict[str, Any]:
    """A node of a ChatGPT conversation."""
    content = {"content_type": "text", "parts": list(parts)}
    said = {"id": f"m-{id_}", "author": {"role": role}, "create_time": at, "content": content, "metadata": {}} | message
    return {"id": id_, "parent": parent, "children": [], "message": said}


def chatgpt() -> list[dict[str, Any]]:
    """A conversation with an edited question, a hidden message, a picture and one without a time."""
    nodes = [
        {"id": "root", "parent": None, "children": [], "message": None},
        node("hidden", "root", "system", "you are kind", metadata={"is_visually_hidden_from_conversation": True}),
        node("old", "hidden", "user", "When do ferries leave?"),
        node("asked", "hidden", "user", "When do ferries leave Oban?", {"content_type": "image_asset_pointer"}),
        node("thought", "asked", "assistant", content={"content_type": "thoughts", "thoughts": []}),
        node("said", "thought", "assistant", "At nine.", at=START + 60),
        node("thanks", "said", "user", "Thank you", at=None),
    ]
    mapping = {one["id"]: one for one in nodes}
    return [
        {
            "title": "Ferries",
            "create_time": START,
            "conversation_id": "c-1",
            "current_node": "thanks",
            "mapping": mapping,
        }
    ]


def claude() -> list[dict[str, Any]]:
    """A conversation with a thought, an attachment and an old message that has only ``text``."""
    return [
        {
            "uuid": "k-1",
            "name": "Bread",
            "created_at": "2024-05-01T10:00:00.123456Z",
            "chat_messages": [
                {
                    "uuid": "k-1-1",
                    "sender": "human",
                    "created_at": "2024-05-01T10:00:00.123456Z",
                    "text": "My starter is dead",
                    "content": [{"type": "text", "text": "My starter is dead"}],
                    "attachments": [{"file_name": "recipe.txt", "extracted_content": "flour"}],
                },
                {
                    "uuid": "k-1-2",
                    "sender": "assistant",
                    "created_at": "2024-05-01T12:00:30+02:00",
                    "text": "",
                    "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Feed it rye"}],
                },
                {"uuid": "k-1-3", "sender": "human", "text": "It lives"},
            ],
        }
    ]


OPENAI = {
    "messages": [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Weather?"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "t1"}]},
        {"role": "tool", "tool_call_id": "t1", "content": "12 degrees"},
        {"role": "assistant", "content": "Cool."},
    ]
}
SHAREGPT = [
    {
        "id": "s-1",
        "system": "Be kind",
        "conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "hi"}],
    },
    {"conversations": [{"from": "human", "value": "hello"}, {"from": "human", "value": "hello"}]},
]
LANGCHAIN = [
    {"type": "system", "data": {"content": "Be kind", "additional_kwargs": {}}},
    {"type": "human", "data": {"content": "hello", "name": "Ann", "id": "run-1"}},
    {"type": "ai", "data": {"content": [{"type": "text", "text": "hi"}], "tool_calls": [{"name": "look"}]}},
]
DISCORD = {
    "guild": {"id": "1", "name": "Boats"},
    "channel": {"id": "77", "type": "GuildTextChat", "name": "harbour"},
    "messages": [
        {
            "id": "900",
            "type": "Default",
            "timestamp": "2024-05-01T12:00:00.5+02:00",
            "content": "anyone sailing?",
            "author": {"id": "5", "name": "ann", "nickname": "Ann", "isBot": False},
            "attachments": [{"id": "3", "fileName": "map.png"}],
        },
        {
            "id": "901",
            "type": "Reply",
            "timestamp": "2024-05-01T10:01:00+00:00",
            "content": "wind is 4",
            "author": {"id": "6", "name": "windy", "isBot": True},
            "reference": {"messageId": "900"},
        },
        {"id": "902", "type": "GuildMemberJoin", "timestamp": "2024-05-01T10:02:00+00:00", "content": "Joined."},
    ],
    "messageCount": 3,
}
MEM0 = {
    "results": [
        {
            "id": "8a",
            "memory": "Likes rye bread",
            "hash": "ff",
            "metadata": {"category": "food"},
            "created_at": "2024-05-01T03:00:00-07:00",
            "updated_at": None,
            "user_id": "ann",
            "run_id": "r-1",
        },
        {"id": "8b", "memory": "Sails on Sundays", "created_at": "2024-05-02T03:00:00-07:00", "user_id": "ann"},
    ]
}
WHATSAPP = """\
[13/05/24, 21:05:33] Boats: \u200eMessages and calls are end-to-end encrypted.
[13/05/24, 21:05:34] Ann: Who brings the rope?
and the anchor: the big one
\u200e[13/05/24, 21:06:00] Bob: \u200eimage omitted
[13/05/24, 21:06:00] Bob: me
[13/05/24, 21:06:00] Bob: me
[14/05/24, 09:00:00] ~ Cleo: Good
"""


def slack(folder: Path) -> Path:
    """An export with two channels; days in the wrong order on disk."""
    messages = {
        "general/2024-05-02.json": [{"type": "message", "user": "U1", "text": "late", "ts": "1714640000.000100"}],
        "general/2024-05-01.json": [
            {"type": "message", "subtype": "channel_join", "user": "U1", "text": "joined", "ts": "1714557600.000100"},
            {
                "type": "message",
                "user": "U1",
                "text": "<@U2> see <https://example.com|the map> &amp; <#C9|boats>",
                "ts": "1714557600.000200",
                "files": [{"name": "map.png"}],
            },
            {
                "type": "message",
                "subtype": "bot_message",
                "bot_id": "B1",
                "username": "tides",
                "text": "high",
                "ts": "1714557601.000100",
            },
        ],
        "boats/2024-05-01.json": [{"type": "message", "user": "U2", "text": "ahoy", "ts": "1714557600.000100"}],
    }
    users = [
        {"id": "U1", "name": "ann", "profile": {"display_name": "Ann"}},
        {"id": "U2", "name": "bob", "profile": {"display_name": "", "real_name": "Bob B."}},
    ]
    write(folder / "users.json", users)
    for name, value in messages.items():
        write(folder / name, value)
    return folder


def write(path: Path, value: Any, encoding: str = "utf-8") -> Path:
    """Text as it is, anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), encoding=encoding)
    return path

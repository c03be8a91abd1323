"""One or two valid conversations of each format that can be imported."""

from __future__ import annotations

from typing import Any

_SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is my sister's name?"},
    {"role": "assistant", "content": "Ada.", "rating": -1, "correction": "Her name is Grace."},
    {"role": "user", "content": "No, it's Grace."},
    {"role": "assistant", "content": "You're right, it is Grace."},
]


def _node(name: str, parent: str | None, children: list[str], role: str, *parts: object) -> dict[str, Any]:
    return {
        "id": name,
        "parent": parent,
        "children": children,
        "message": {
            "id": name,
            "author": {"role": role},
            "content": {"content_type": "text", "parts": list(parts)},
            "metadata": {"is_visually_hidden_from_conversation": False},
            "weight": 1.0,
            "create_time": 1_700_000_000.5,
            "recipient": "all",
            "channel": None,
        },
    }


#: One or two valid conversations of each format.
RECORDS: dict[str, list[Any]] = {
    "native": [
        {
            "id": "n1",
            "created_at": "2024-01-01T10:00:00Z",
            "source": "chat",
            "title": "T",
            "messages": _SAID,
            "x": [1],
        },
        {"messages": _SAID[1:3]},
    ],
    "openai": [
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "image_url"}]},
                {"role": "assistant", "content": "Hi", "tool_calls": None},
                {"role": "tool", "content": "4", "tool_call_id": "t"},
            ]
        },
        {"messages": _SAID},
    ],
    "sharegpt": [
        {"id": "s", "conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}]},
        {"conversations": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]},
    ],
    "chatgpt": [
        {
            "title": "T",
            "create_time": 1_700_000_000.5,
            "conversation_id": "g1",
            "mapping": {
                "r": {"id": "r", "message": None, "parent": None, "children": ["u"]},
                "u": _node("u", "r", ["a", "b"], "user", "Hello", {"content_type": "image_asset_pointer"}),
                "a": _node("a", "u", [], "assistant", "Hi"),
                "b": _node("b", "u", ["t"], "assistant", "Hello there"),
                "t": _node("t", "b", [], "tool", "4"),
            },
            "current_node": "t",
        }
    ],
    "claude": [
        {
            "uuid": "c1",
            "name": "T",
            "created_at": "2024-01-01T10:00:00.123456Z",
            "chat_messages": [
                {
                    "uuid": "1",
                    "sender": "human",
                    "text": "Hello",
                    "attachments": [{"extracted_content": "x"}],
                },
                {
                    "uuid": "2",
                    "sender": "assistant",
                    "text": "",
                    "content": [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "Hi"}],
                    "parent_message_uuid": "1",
                },
            ],
        }
    ],
    "openwebui": [
        {
            "id": "o1",
            "created_at": 1_700_000_000,
            "chat": {
                "title": "T",
                "params": {"system": "Be brief."},
                "history": {
                    "currentId": "2",
                    "messages": {
                        "1": {
                            "id": "1",
                            "role": "user",
                            "content": "Hello",
                            "parentId": None,
                            "childrenIds": ["2"],
                        },
                        "2": {
                            "id": "2",
                            "role": "assistant",
                            "content": '<details type="reasoning">…</details>Hi',
                            "originalContent": "H",
                            "parentId": "1",
                            "annotation": {"rating": -1},
                            "output": [{"type": "message", "content": [{"text": "Hi"}]}],
                        },
                    },
                },
            },
        }
    ],
    "lmstudio": [
        {
            "name": "T",
            "createdAt": 1_700_000_000_000,
            "perChatPredictionConfig": {
                "fields": [{"key": "llm.prediction.systemPrompt", "value": "Be brief."}]
            },
            "messages": [
                {
                    "versions": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
                    "currentlySelected": 0,
                },
                {
                    "versions": [
                        {
                            "role": "assistant",
                            "steps": [
                                {
                                    "type": "contentBlock",
                                    "style": {"type": "thinking"},
                                    "content": [{"type": "text", "text": "…"}],
                                },
                                {"type": "contentBlock", "content": [{"type": "text", "text": "Hi"}]},
                            ],
                        }
                    ],
                    "currentlySelected": 0,
                },
            ],
        }
    ],
    "jan": [
        {
            "id": "j1",
            "object": "thread.message",
            "thread_id": "t",
            "role": "user",
            "status": "ready",
            "created_at": 1_700_000_000_000,
            "content": [{"type": "text", "text": {"value": "Hello", "annotations": []}}],
        },
        {
            "id": "j2",
            "thread_id": "t",
            "role": "assistant",
            "status": "ready",
            "created_at": 1_700_000_001,
            "content": [{"type": "text", "text": {"value": "Hi"}}],
        },
    ],
}

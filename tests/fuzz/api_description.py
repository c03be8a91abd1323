"""The local API in OpenAPI's words, for the tests: the service itself has no address that describes it."""

from __future__ import annotations

from typing import Any

_ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "additionalProperties": False,
            "properties": {
                "message": {"type": "string", "minLength": 1},
                "type": {"enum": ["invalid_request_error", "rate_limit_error", "server_error"]},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string", "pattern": "^[a-z_]+$"},
            },
        }
    },
}

#: Codes of the answers 503 that the service gives on purpose.
DOCUMENTED_UNAVAILABLE = frozenset({"closing", "store_busy", "model_unavailable", "too_many_connections"})

_REFUSALS = (400, 401, 403, 404, 405, 408, 413, 429, 503)
_TEXT = {"type": "string", "maxLength": 2000}
_SAMPLING: dict[str, Any] = {
    "model": {"enum": ["allie", "base", "v1.0", "v1.1"]},
    "stream": {"type": ["boolean", "null"]},
    "stream_options": {
        "type": ["object", "null"],
        "properties": {"include_usage": {"type": ["boolean", "null"]}},
    },
    "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "seed": {"type": ["integer", "null"]},
    "stop": {
        "anyOf": [
            {"type": "null"},
            {"type": "string", "minLength": 1, "maxLength": 500},
            {"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1, "maxLength": 500}},
        ]
    },
    "frequency_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
    "presence_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
    "n": {"enum": [None, 1]},
}
_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant"]},
        "content": {
            "anyOf": [
                _TEXT,
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type", "text"],
                        "properties": {"type": {"const": "text"}, "text": _TEXT},
                    },
                },
            ]
        },
    },
    "additionalProperties": False,
}
_COMPLETION = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "object": {"enum": ["chat.completion", "text_completion"]},
        "choices": {"type": "array", "minItems": 1, "maxItems": 1},
        "usage": {
            "type": "object",
            "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
            "additionalProperties": {"type": "integer", "minimum": 0},
        },
    },
}
_HEADERS = [
    {
        "name": "X-Allie-Conversation",
        "in": "header",
        "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
    },
    {"name": "X-Allie-Source", "in": "header", "schema": {"enum": ["api", "chat"]}},
    {"name": "X-Allie-Record", "in": "header", "schema": {"enum": ["on", "off"]}},
]


def _answers(document: dict[str, Any], *, streamed: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": document}}
    if streamed:
        content["text/event-stream"] = {"schema": {}}
    refusal = {"description": "refused", "content": {"application/json": {"schema": _ERROR}}}
    return {"200": {"description": "done", "content": content}, **{str(code): refusal for code in _REFUSALS}}


def _asked(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _body(required: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [required],
        "properties": {**_SAMPLING, **properties},
        "additionalProperties": False,
    }


_NAMED = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {"id": {"type": "string"}, "created": {"type": "integer"}},
}

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Allie", "version": "1"},
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    "security": [{"token": []}],
    "paths": {
        "/v1/chat/completions": {
            "post": {
                "parameters": _HEADERS,
                "requestBody": _asked(
                    _body(
                        "messages",
                        {"messages": {"type": "array", "minItems": 1, "maxItems": 20, "items": _MESSAGE}},
                    )
                ),
                "responses": _answers(_COMPLETION, streamed=True),
            }
        },
        "/v1/completions": {
            "post": {
                "parameters": _HEADERS,
                "requestBody": _asked(
                    _body(
                        "prompt",
                        {
                            "prompt": {
                                "anyOf": [
                                    _TEXT,
                                    {"type": "array", "minItems": 1, "maxItems": 1, "items": _TEXT},
                                ]
                            }
                        },
                    )
                ),
                "responses": _answers(_COMPLETION, streamed=True),
            }
        },
        "/v1/feedback": {
            "post": {
                "requestBody": _asked(
                    {
                        "type": "object",
                        "required": ["response_id", "rating"],
                        "properties": {
                            "response_id": {"type": "string"},
                            "rating": {"enum": [1, -1]},
                            "correction": {"anyOf": [_TEXT, {"type": "null"}]},
                        },
                        "additionalProperties": False,
                    }
                ),
                "responses": _answers(
                    {"type": "object", "required": ["object", "response_id", "kept"]},
                ),
            }
        },
        "/v1/models": {
            "get": {
                "responses": _answers(
                    {
                        "type": "object",
                        "required": ["object", "data"],
                        "properties": {"data": {"items": _NAMED}},
                    }
                )
            }
        },
        "/v1/models/{name}": {
            "get": {
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
                "responses": _answers(_NAMED),
            }
        },
        "/v1/unload": {"post": {"responses": _answers({"type": "object", "required": ["unloaded"]})}},
        "/healthz": {
            "get": {
                "security": [],
                "responses": _answers(
                    {"type": "object", "properties": {"status": {"enum": ["ok", "loading", "idle"]}}}
                ),
            }
        },
    },
}

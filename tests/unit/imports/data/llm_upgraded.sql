-- The log of llm 0.27 after llm 0.36 went on with two of its three conversations; full-text tables left out.
CREATE TABLE "conversations" ( "id" TEXT PRIMARY KEY, "name" TEXT, "model" TEXT );
INSERT INTO conversations VALUES ('01m81p96w4e6xf9qxq53dz2we7', 'Hello there', 'fake-echo');
INSERT INTO conversations VALUES ('01m81p9a3b2shtnjfs4my74yp1', 'piped frag with fragment', 'fake-echo');
INSERT INTO conversations VALUES ('01m81p9c4jngfrkkm9y0vj936h', 'émoji 🦙 שלום', 'fake-echo');
CREATE TABLE "responses" ( "id" TEXT PRIMARY KEY, "model" TEXT, "prompt" TEXT, "system" TEXT, "prompt_json" TEXT, "options_json" TEXT, "response" TEXT, "response_json" TEXT, "conversation_id" TEXT REFERENCES "conversations"("id"), "duration_ms" INTEGER, "datetime_utc" TEXT, "input_tokens" INTEGER, "output_tokens" INTEGER, "token_details" TEXT, "schema_id" TEXT REFERENCES "schemas"("id") , "resolved_model" TEXT, "reasoning" TEXT);
INSERT INTO responses VALUES ('01m81p96w4e6xf9qxq53dz2we6', 'fake-echo', 'Hello there', 'Be kind', NULL, '{}', 'You said: Hello there', NULL, '01m81p96w4e6xf9qxq53dz2we7', 0, '2024-01-22T13:14:14.788148+00:00', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO responses VALUES ('01m81p988qzb7fqvksky6vfeks', 'fake-echo', 'and more', NULL, NULL, '{}', 'You said: and more', NULL, '01m81p96w4e6xf9qxq53dz2we7', 0, '2024-01-22T13:14:16.215887+00:00', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO responses VALUES ('01m81p9a3ap5gwr2ajxshxwznw', 'fake-echo', 'with fragment', NULL, NULL, '{}', 'You said: piped frag

with fragment', NULL, '01m81p9a3b2shtnjfs4my74yp1', 0, '2024-01-22T13:14:18.090945+00:00', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO responses VALUES ('01m81p9c4jngfrkkm9y0vj936g', 'fake-echo', 'émoji 🦙 שלום', NULL, NULL, '{}', 'You said: émoji 🦙 שלום', NULL, '01m81p9c4jngfrkkm9y0vj936h', 0, '2024-01-22T13:14:20.178116+00:00', NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE "fragments" ( "id" INTEGER PRIMARY KEY, "hash" TEXT, "content" TEXT, "datetime_utc" TEXT, "source" TEXT );
INSERT INTO fragments VALUES (1, '277a9f9713d61b531276d37f6a8f69d34cde39c9a94fa79d793ff96a7fc7168c', 'piped frag
', '2024-01-22 13:14:18', 'notes.txt');
CREATE TABLE "prompt_fragments" ( "response_id" TEXT REFERENCES "responses"("id"), "fragment_id" INTEGER REFERENCES "fragments"("id"), "order" INTEGER, PRIMARY KEY ("response_id", "fragment_id", "order") );
INSERT INTO prompt_fragments VALUES ('01m81p9a3ap5gwr2ajxshxwznw', 1, 0);
CREATE TABLE "system_fragments" ( "response_id" TEXT REFERENCES "responses"("id"), "fragment_id" INTEGER REFERENCES "fragments"("id"), "order" INTEGER, PRIMARY KEY ("response_id", "fragment_id", "order") );
CREATE TABLE "messages" ( "hash" TEXT PRIMARY KEY, "parent_hash" TEXT REFERENCES "messages"("hash"), "role" TEXT, "provider_metadata" TEXT );
INSERT INTO messages VALUES ('b2:1506b7372bf0612f748c1fbbf2b88148', NULL, 'user', NULL);
INSERT INTO messages VALUES ('b2:3e7bba0501b9b32aca1cedceac005ae0', 'b2:1506b7372bf0612f748c1fbbf2b88148', 'assistant', NULL);
INSERT INTO messages VALUES ('b2:abf05b09f898907b8a237cafe9c99d72', 'b2:3e7bba0501b9b32aca1cedceac005ae0', 'user', NULL);
INSERT INTO messages VALUES ('b2:6d89cc22ac7891ccc2d16d15a10d9f94', 'b2:abf05b09f898907b8a237cafe9c99d72', 'assistant', NULL);
INSERT INTO messages VALUES ('b2:1333d939276593ca766e12181afed4b5', NULL, 'system', NULL);
INSERT INTO messages VALUES ('b2:91dce7070682685fea32b904a3ddd002', 'b2:1333d939276593ca766e12181afed4b5', 'user', NULL);
INSERT INTO messages VALUES ('b2:6bef9f6709cfc6fffebaf49dfe850993', 'b2:91dce7070682685fea32b904a3ddd002', 'assistant', NULL);
INSERT INTO messages VALUES ('b2:9c59e1de075d6484c4fb8c477a1db25c', 'b2:6bef9f6709cfc6fffebaf49dfe850993', 'user', NULL);
INSERT INTO messages VALUES ('b2:f0b0afce2f85ba5e14e33174b66189d2', 'b2:9c59e1de075d6484c4fb8c477a1db25c', 'assistant', NULL);
INSERT INTO messages VALUES ('b2:26b3ec4310c0d842c0b2934580d71de2', 'b2:f0b0afce2f85ba5e14e33174b66189d2', 'user', NULL);
INSERT INTO messages VALUES ('b2:b6992a8223e851549ceb125992fbfffc', 'b2:26b3ec4310c0d842c0b2934580d71de2', 'assistant', NULL);
CREATE TABLE "parts" ( "id" INTEGER PRIMARY KEY, "message_hash" TEXT REFERENCES "messages"("hash"), "position" INTEGER, "type" TEXT, "tool_name" TEXT, "text" TEXT, "payload" TEXT );
INSERT INTO parts VALUES (1, 'b2:1506b7372bf0612f748c1fbbf2b88148', 0, 'text', NULL, 'émoji 🦙 שלום', NULL);
INSERT INTO parts VALUES (2, 'b2:3e7bba0501b9b32aca1cedceac005ae0', 0, 'text', NULL, 'You said: émoji 🦙 שלום', NULL);
INSERT INTO parts VALUES (3, 'b2:abf05b09f898907b8a237cafe9c99d72', 0, 'text', NULL, 'after the upgrade', NULL);
INSERT INTO parts VALUES (4, 'b2:6d89cc22ac7891ccc2d16d15a10d9f94', 0, 'text', NULL, 'You said: after the upgrade', NULL);
INSERT INTO parts VALUES (5, 'b2:1333d939276593ca766e12181afed4b5', 0, 'text', NULL, 'Be kind', NULL);
INSERT INTO parts VALUES (6, 'b2:91dce7070682685fea32b904a3ddd002', 0, 'text', NULL, 'Hello there', NULL);
INSERT INTO parts VALUES (7, 'b2:6bef9f6709cfc6fffebaf49dfe850993', 0, 'text', NULL, 'You said: Hello there', NULL);
INSERT INTO parts VALUES (8, 'b2:9c59e1de075d6484c4fb8c477a1db25c', 0, 'text', NULL, 'and more', NULL);
INSERT INTO parts VALUES (9, 'b2:f0b0afce2f85ba5e14e33174b66189d2', 0, 'text', NULL, 'You said: and more', NULL);
INSERT INTO parts VALUES (10, 'b2:26b3ec4310c0d842c0b2934580d71de2', 0, 'text', NULL, 'third', NULL);
INSERT INTO parts VALUES (11, 'b2:b6992a8223e851549ceb125992fbfffc', 0, 'text', NULL, 'You said: third', NULL);
CREATE TABLE "part_fragments" ( "part_id" INTEGER REFERENCES "parts"("id"), "fragment_id" INTEGER REFERENCES "fragments"("id"), "order" INTEGER, PRIMARY KEY ("part_id", "fragment_id", "order") );
CREATE TABLE "threads" ( "id" TEXT PRIMARY KEY, "name" TEXT, "tip_message_hash" TEXT REFERENCES "messages"("hash"), "forked_from" TEXT REFERENCES "threads"("id"), "datetime_utc" TEXT );
INSERT INTO threads VALUES ('01m81p9c4jngfrkkm9y0vj936h', 'after the upgrade', 'b2:6d89cc22ac7891ccc2d16d15a10d9f94', NULL, '2024-01-22 13:36:24.890766+00:00');
INSERT INTO threads VALUES ('01m81p96w4e6xf9qxq53dz2we7', 'third', 'b2:b6992a8223e851549ceb125992fbfffc', NULL, '2024-01-22 13:36:28.642851+00:00');
CREATE TABLE "turns" ( "id" TEXT PRIMARY KEY, "thread_id" TEXT REFERENCES "threads"("id"), "parent_message_hash" TEXT REFERENCES "messages"("hash"), "tip_message_hash" TEXT REFERENCES "messages"("hash"), "model" TEXT, "resolved_model" TEXT, "options_json" TEXT, "schema_id" TEXT REFERENCES "schemas"("id"), "input_tokens" INTEGER, "output_tokens" INTEGER, "token_details" TEXT, "duration_ms" INTEGER, "datetime_utc" TEXT , "response_json" TEXT);
INSERT INTO turns VALUES ('01m81qhsss36skqy6v72251y1a', '01m81p9c4jngfrkkm9y0vj936h', 'b2:abf05b09f898907b8a237cafe9c99d72', 'b2:6d89cc22ac7891ccc2d16d15a10d9f94', 'fake-echo', NULL, NULL, NULL, NULL, NULL, NULL, 0, '2024-01-22T13:36:24.889756+00:00', NULL);
INSERT INTO turns VALUES ('01m81qhxf1akb687v2k0d4h805', '01m81p96w4e6xf9qxq53dz2we7', 'b2:26b3ec4310c0d842c0b2934580d71de2', 'b2:b6992a8223e851549ceb125992fbfffc', 'fake-echo', NULL, NULL, NULL, NULL, NULL, NULL, 0, '2024-01-22T13:36:28.641900+00:00', NULL);

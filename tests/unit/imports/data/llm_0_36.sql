-- What llm 0.36 logged for a made-up model that repeats what it is told; full-text tables left out.
CREATE TABLE "conversations" ( "id" TEXT PRIMARY KEY, "name" TEXT, "model" TEXT );
CREATE TABLE "responses" ( "id" TEXT PRIMARY KEY, "model" TEXT, "prompt" TEXT, "system" TEXT, "prompt_json" TEXT, "options_json" TEXT, "response" TEXT, "response_json" TEXT, "conversation_id" TEXT REFERENCES "conversations"("id"), "duration_ms" INTEGER, "datetime_utc" TEXT, "input_tokens" INTEGER, "output_tokens" INTEGER, "token_details" TEXT, "schema_id" TEXT REFERENCES "schemas"("id") , "resolved_model" TEXT, "reasoning" TEXT);
CREATE TABLE "fragments" ( "id" INTEGER PRIMARY KEY, "hash" TEXT, "content" TEXT, "datetime_utc" TEXT, "source" TEXT );
INSERT INTO fragments VALUES (1, '277a9f9713d61b531276d37f6a8f69d34cde39c9a94fa79d793ff96a7fc7168c', 'piped frag
', '2024-01-22 13:03:28', 'notes.txt');
CREATE TABLE "prompt_fragments" ( "response_id" TEXT REFERENCES "responses"("id"), "fragment_id" INTEGER REFERENCES "fragments"("id"), "order" INTEGER, PRIMARY KEY ("response_id", "fragment_id", "order") );
CREATE TABLE "system_fragments" ( "response_id" TEXT REFERENCES "responses"("id"), "fragment_id" INTEGER REFERENCES "fragments"("id"), "order" INTEGER, PRIMARY KEY ("response_id", "fragment_id", "order") );
CREATE TABLE "messages" ( "hash" TEXT PRIMARY KEY, "parent_hash" TEXT REFERENCES "messages"("hash"), "role" TEXT, "provider_metadata" TEXT );
INSERT INTO messages VALUES ('b2:1333d939276593ca766e12181afed4b5', NULL, 'system', NULL);
INSERT INTO messages VALUES ('b2:91dce7070682685fea32b904a3ddd002', 'b2:1333d939276593ca766e12181afed4b5', 'user', NULL);
INSERT INTO messages VALUES ('b2:6bef9f6709cfc6fffebaf49dfe850993', 'b2:91dce7070682685fea32b904a3ddd002', 'assistant', NULL);
INSERT INTO messages VALUES ('b2:9c59e1de075d6484c4fb8c477a1db25c', 'b2:6bef9f6709cfc6fffebaf49dfe850993', 'user', NULL);
INSERT INTO messages VALUES ('b2:f0b0afce2f85ba5e14e33174b66189d2', 'b2:9c59e1de075d6484c4fb8c477a1db25c', 'assistant', NULL);
INSERT INTO messages VALUES ('b2:66608de40819e7578dac869edeea99cc', NULL, 'user', NULL);
INSERT INTO messages VALUES ('b2:6322d91036fded17c6968775a177f22f', 'b2:66608de40819e7578dac869edeea99cc', 'assistant', NULL);
INSERT INTO messages VALUES ('b2:ba58ed087bd1fcc93775927d98424916', NULL, 'user', NULL);
INSERT INTO messages VALUES ('b2:0b17572bcfb6d2b3fc22d6bd71c0b014', 'b2:ba58ed087bd1fcc93775927d98424916', 'assistant', NULL);
INSERT INTO messages VALUES ('b2:72de1a7236e4069a2d396d41938a7d87', 'b2:0b17572bcfb6d2b3fc22d6bd71c0b014', 'user', NULL);
INSERT INTO messages VALUES ('b2:952c8310339f3d4314f358716e3bc040', 'b2:72de1a7236e4069a2d396d41938a7d87', 'assistant', NULL);
CREATE TABLE "parts" ( "id" INTEGER PRIMARY KEY, "message_hash" TEXT REFERENCES "messages"("hash"), "position" INTEGER, "type" TEXT, "tool_name" TEXT, "text" TEXT, "payload" TEXT );
INSERT INTO parts VALUES (1, 'b2:1333d939276593ca766e12181afed4b5', 0, 'text', NULL, 'Be kind', NULL);
INSERT INTO parts VALUES (2, 'b2:91dce7070682685fea32b904a3ddd002', 0, 'text', NULL, 'Hello there', NULL);
INSERT INTO parts VALUES (3, 'b2:6bef9f6709cfc6fffebaf49dfe850993', 0, 'text', NULL, 'You said: Hello there', NULL);
INSERT INTO parts VALUES (4, 'b2:9c59e1de075d6484c4fb8c477a1db25c', 0, 'text', NULL, 'and more', NULL);
INSERT INTO parts VALUES (5, 'b2:f0b0afce2f85ba5e14e33174b66189d2', 0, 'text', NULL, 'You said: and more', NULL);
INSERT INTO parts VALUES (6, 'b2:66608de40819e7578dac869edeea99cc', 0, 'text', NULL, 'single', NULL);
INSERT INTO parts VALUES (7, 'b2:6322d91036fded17c6968775a177f22f', 0, 'text', NULL, 'You said: single', NULL);
INSERT INTO parts VALUES (8, 'b2:ba58ed087bd1fcc93775927d98424916', 0, 'text', NULL, NULL, '{"text_ref": [{"fragment": 1}, {"literal": "\nwith fragment"}]}');
INSERT INTO parts VALUES (9, 'b2:0b17572bcfb6d2b3fc22d6bd71c0b014', 0, 'text', NULL, 'You said: piped frag

with fragment', NULL);
INSERT INTO parts VALUES (10, 'b2:72de1a7236e4069a2d396d41938a7d87', 0, 'text', NULL, 'again', NULL);
INSERT INTO parts VALUES (11, 'b2:952c8310339f3d4314f358716e3bc040', 0, 'text', NULL, 'You said: again', NULL);
CREATE TABLE "part_fragments" ( "part_id" INTEGER REFERENCES "parts"("id"), "fragment_id" INTEGER REFERENCES "fragments"("id"), "order" INTEGER, PRIMARY KEY ("part_id", "fragment_id", "order") );
INSERT INTO part_fragments VALUES (8, 1, 0);
CREATE TABLE "threads" ( "id" TEXT PRIMARY KEY, "name" TEXT, "tip_message_hash" TEXT REFERENCES "messages"("hash"), "forked_from" TEXT REFERENCES "threads"("id"), "datetime_utc" TEXT );
INSERT INTO threads VALUES ('01m81nncvw0vj35bh6jr0y610x', 'Hello there', 'b2:f0b0afce2f85ba5e14e33174b66189d2', NULL, '2024-01-22 13:03:25.567184+00:00');
INSERT INTO threads VALUES ('01m81nnepcc1m43mxf90txc99t', 'single', 'b2:6322d91036fded17c6968775a177f22f', NULL, '2024-01-22 13:03:27.439316+00:00');
INSERT INTO threads VALUES ('01m81nnfrhydb298ym3hb96w03', 'piped frag with fragment', 'b2:952c8310339f3d4314f358716e3bc040', NULL, '2024-01-22 13:03:28.532236+00:00');
CREATE TABLE "turns" ( "id" TEXT PRIMARY KEY, "thread_id" TEXT REFERENCES "threads"("id"), "parent_message_hash" TEXT REFERENCES "messages"("hash"), "tip_message_hash" TEXT REFERENCES "messages"("hash"), "model" TEXT, "resolved_model" TEXT, "options_json" TEXT, "schema_id" TEXT REFERENCES "schemas"("id"), "input_tokens" INTEGER, "output_tokens" INTEGER, "token_details" TEXT, "duration_ms" INTEGER, "datetime_utc" TEXT , "response_json" TEXT);
INSERT INTO turns VALUES ('01m81nncvyt52t8rkh778rnr60', '01m81nncvw0vj35bh6jr0y610x', 'b2:91dce7070682685fea32b904a3ddd002', 'b2:6bef9f6709cfc6fffebaf49dfe850993', 'fake-echo', NULL, NULL, NULL, NULL, NULL, NULL, 0, '2024-01-22T13:03:25.566321+00:00', NULL);
INSERT INTO turns VALUES ('01m81nndrqrqfpd65k5heya1ps', '01m81nncvw0vj35bh6jr0y610x', 'b2:9c59e1de075d6484c4fb8c477a1db25c', 'b2:f0b0afce2f85ba5e14e33174b66189d2', 'fake-echo', NULL, NULL, NULL, NULL, NULL, NULL, 0, '2024-01-22T13:03:26.487937+00:00', NULL);
INSERT INTO turns VALUES ('01m81nnepeze34hpw546wzt9d9', '01m81nnepcc1m43mxf90txc99t', 'b2:66608de40819e7578dac869edeea99cc', 'b2:6322d91036fded17c6968775a177f22f', 'fake-echo', NULL, NULL, NULL, NULL, NULL, NULL, 0, '2024-01-22T13:03:27.438390+00:00', NULL);
INSERT INTO turns VALUES ('01m81nnfrkasrcabk9wz1p9gjf', '01m81nnfrhydb298ym3hb96w03', 'b2:ba58ed087bd1fcc93775927d98424916', 'b2:0b17572bcfb6d2b3fc22d6bd71c0b014', 'fake-echo', NULL, NULL, NULL, NULL, NULL, NULL, 0, '2024-01-22T13:03:28.531515+00:00', NULL);
INSERT INTO turns VALUES ('01m81nnggme2z4v3rpbhgwrv6x', '01m81nnfrhydb298ym3hb96w03', 'b2:72de1a7236e4069a2d396d41938a7d87', 'b2:952c8310339f3d4314f358716e3bc040', 'fake-echo', NULL, NULL, NULL, NULL, NULL, NULL, 0, '2024-01-22T13:03:29.300095+00:00', NULL);

-- What llm 0.27 logged for a made-up model that repeats what it is told; full-text tables left out.
CREATE TABLE "conversations" ( "id" TEXT PRIMARY KEY, "name" TEXT, "model" TEXT );
INSERT INTO conversations VALUES ('01m81p96w4e6xf9qxq53dz2we7', 'Hello there', 'fake-echo');
INSERT INTO conversations VALUES ('01m81p9a3b2shtnjfs4my74yp1', 'piped frag with fragment', 'fake-echo');
INSERT INTO conversations VALUES ('01m81p9c4jngfrkkm9y0vj936h', 'émoji 🦙 שלום', 'fake-echo');
CREATE TABLE "responses" ( "id" TEXT PRIMARY KEY, "model" TEXT, "prompt" TEXT, "system" TEXT, "prompt_json" TEXT, "options_json" TEXT, "response" TEXT, "response_json" TEXT, "conversation_id" TEXT REFERENCES "conversations"("id"), "duration_ms" INTEGER, "datetime_utc" TEXT, "input_tokens" INTEGER, "output_tokens" INTEGER, "token_details" TEXT, "schema_id" TEXT REFERENCES "schemas"("id") , "resolved_model" TEXT);
INSERT INTO responses VALUES ('01m81p96w4e6xf9qxq53dz2we6', 'fake-echo', 'Hello there', 'Be kind', NULL, '{}', 'You said: Hello there', NULL, '01m81p96w4e6xf9qxq53dz2we7', 0, '2024-01-22T13:14:14.788148+00:00', NULL, NULL, NULL, NULL, NULL);
INSERT INTO responses VALUES ('01m81p988qzb7fqvksky6vfeks', 'fake-echo', 'and more', NULL, NULL, '{}', 'You said: and more', NULL, '01m81p96w4e6xf9qxq53dz2we7', 0, '2024-01-22T13:14:16.215887+00:00', NULL, NULL, NULL, NULL, NULL);
INSERT INTO responses VALUES ('01m81p9a3ap5gwr2ajxshxwznw', 'fake-echo', 'with fragment', NULL, NULL, '{}', 'You said: piped frag

with fragment', NULL, '01m81p9a3b2shtnjfs4my74yp1', 0, '2024-01-22T13:14:18.090945+00:00', NULL, NULL, NULL, NULL, NULL);
INSERT INTO responses VALUES ('01m81p9c4jngfrkkm9y0vj936g', 'fake-echo', 'émoji 🦙 שלום', NULL, NULL, '{}', 'You said: émoji 🦙 שלום', NULL, '01m81p9c4jngfrkkm9y0vj936h', 0, '2024-01-22T13:14:20.178116+00:00', NULL, NULL, NULL, NULL, NULL);
CREATE TABLE "fragments" ( "id" INTEGER PRIMARY KEY, "hash" TEXT, "content" TEXT, "datetime_utc" TEXT, "source" TEXT );
INSERT INTO fragments VALUES (1, '277a9f9713d61b531276d37f6a8f69d34cde39c9a94fa79d793ff96a7fc7168c', 'piped frag
', '2024-01-22 13:14:18', 'notes.txt');
CREATE TABLE "prompt_fragments" ( "response_id" TEXT REFERENCES "responses"("id"), "fragment_id" INTEGER REFERENCES "fragments"("id"), "order" INTEGER, PRIMARY KEY ("response_id", "fragment_id", "order") );
INSERT INTO prompt_fragments VALUES ('01m81p9a3ap5gwr2ajxshxwznw', 1, 0);
CREATE TABLE "system_fragments" ( "response_id" TEXT REFERENCES "responses"("id"), "fragment_id" INTEGER REFERENCES "fragments"("id"), "order" INTEGER, PRIMARY KEY ("response_id", "fragment_id", "order") );

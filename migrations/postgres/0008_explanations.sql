-- Why requests were refused, for whoever runs this server: what was compared with what, without secrets, by the request's id.
CREATE TABLE explanation (
    id         UUID   NOT NULL PRIMARY KEY,           -- the request's, ordered by time
    created_at BIGINT NOT NULL,
    body       JSONB  NOT NULL
);
CREATE INDEX explanation_by_age ON explanation (created_at);

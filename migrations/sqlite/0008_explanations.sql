-- Why requests were refused, for whoever runs this server: what was compared with what, without secrets, by the request's id.
CREATE TABLE explanation (
    id         BLOB    NOT NULL PRIMARY KEY,          -- the request's, ordered by time
    created_at INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX explanation_by_age ON explanation (created_at);

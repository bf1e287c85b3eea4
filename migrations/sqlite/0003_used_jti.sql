-- Identifiers of JWTs that count once (RFC 7523 §3: a client's assertion), kept until the JWT has expired.
CREATE TABLE used_jti (
    digest     BLOB    NOT NULL PRIMARY KEY,          -- of what it was used for, whose it is, and the jti
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_jti_by_expiry ON used_jti (expires_at);

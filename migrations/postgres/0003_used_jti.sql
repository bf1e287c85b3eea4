-- Identifiers of JWTs that count once (RFC 7523 §3: a client's assertion), kept until the JWT has expired.
CREATE TABLE used_jti (
    digest     BYTEA  NOT NULL PRIMARY KEY,           -- of what it was used for, whose it is, and the jti
    expires_at BIGINT NOT NULL
);
CREATE INDEX used_jti_by_expiry ON used_jti (expires_at);

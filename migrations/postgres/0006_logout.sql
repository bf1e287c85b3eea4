-- The clients that are to be told when a login ends: those that asked for it and got something in it. While the login lasts
-- a row only waits; when it ends, the row becomes a message that is due, and goes when it has arrived.
CREATE TABLE login_client (
    login_id   UUID NOT NULL,
    client_id  TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    due_at     BIGINT,                                 -- null: the login has not ended; else when to try (again)
    tries      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,                        -- when a row whose login just ran out may go
    PRIMARY KEY (login_id, client_id)
);
CREATE INDEX login_client_by_due ON login_client (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX login_client_by_expiry ON login_client (expires_at);

-- Keys of algorithms that versions before this one do not know. Those refuse what they cannot read, and go on running while
-- nodes are upgraded: so these keys have a table of their own.
CREATE TABLE later_signing_key (
    kid         TEXT   NOT NULL PRIMARY KEY,
    alg         TEXT   NOT NULL,
    public_jwk  JSONB  NOT NULL,
    private_key BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL,
    signs_from  BIGINT NOT NULL,
    verifies_until BIGINT
);

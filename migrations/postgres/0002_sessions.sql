-- Signed-in browsers and issued tokens: one row per login and per access token, as Aidbox's Session.
-- A family is what came from one authorization by refreshing; its first row is its root and says whether it has ended.
CREATE TABLE session (
    id                 UUID    NOT NULL PRIMARY KEY,  -- time-ordered; stands in the bearer value
    kind               TEXT    NOT NULL,              -- 'login' or the grant
    family             UUID    NOT NULL,              -- the root's id
    parent             UUID,                          -- the login it came from
    shared             BOOLEAN NOT NULL,              -- first party: ends with its login
    user_id            TEXT,
    user_epoch         BIGINT,                        -- the user's, when it was made; another one means it has ended
    client_id          TEXT,
    client_epoch       BIGINT,
    scope              TEXT    NOT NULL,              -- of this access token
    granted_scope      TEXT    NOT NULL,              -- of the refresh token
    audience           TEXT    NOT NULL,              -- space-delimited
    id_token           BOOLEAN NOT NULL,              -- whether refreshing gives one
    token_digest       BYTEA,                         -- of the cookie or the opaque access token
    token_expires_at   BIGINT  NOT NULL,
    refresh_digest     BYTEA,
    refresh_expires_at BIGINT,                        -- null: does not expire by itself
    refresh_limit      BIGINT,                        -- the server's cap, from the first issue
    rotated_at         BIGINT,
    successor          UUID,
    auth_time          BIGINT,
    seen_at            BIGINT  NOT NULL,
    created_at         BIGINT  NOT NULL,
    ended_at           BIGINT,                        -- this row's token
    family_ended_at    BIGINT,                        -- on a root: the whole family
    expires_at         BIGINT  NOT NULL               -- when the row may go
);
CREATE INDEX session_by_expiry ON session (expires_at);
CREATE INDEX session_by_family ON session (family) WHERE family <> id;
CREATE INDEX session_by_parent ON session (parent) WHERE shared;
CREATE INDEX session_by_user ON session (user_id) WHERE user_id IS NOT NULL;

CREATE TABLE authorization_code (
    id                UUID    NOT NULL PRIMARY KEY,
    digest            BYTEA   NOT NULL,
    client_id         TEXT    NOT NULL,
    client_epoch      BIGINT  NOT NULL,
    redirect_uri      TEXT    NOT NULL,
    redirect_required BOOLEAN NOT NULL,               -- whether the token request must repeat it
    code_challenge    TEXT,
    user_id           TEXT    NOT NULL,
    user_epoch        BIGINT  NOT NULL,
    login_id          UUID    NOT NULL,
    shared            BOOLEAN NOT NULL,
    scope             TEXT    NOT NULL,
    id_token          BOOLEAN NOT NULL,
    nonce             TEXT,
    auth_time         BIGINT  NOT NULL,
    expires_at        BIGINT  NOT NULL,
    claimed_at        BIGINT,
    session_id        UUID                            -- what came of it, so that a replay can end it
);
CREATE INDEX authorization_code_by_expiry ON authorization_code (expires_at);

-- JWTs that ended before their time and have no row in session.
CREATE TABLE revoked_token (
    jti        UUID   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_token_by_expiry ON revoked_token (expires_at);

-- Signing keys; the private part is sealed with the master key.
CREATE TABLE signing_key (
    kid         TEXT   NOT NULL PRIMARY KEY,
    alg         TEXT   NOT NULL,
    public_jwk  JSONB  NOT NULL,
    private_key BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL,
    signs_from  BIGINT NOT NULL,                      -- published at once, signs from here
    verifies_until BIGINT                             -- null while no later key has taken over
);

-- Signed-in browsers and issued tokens: one row per login and per access token, as Aidbox's Session.
-- A family is what came from one authorization by refreshing; its first row is its root and says whether it has ended.
CREATE TABLE session (
    id                 BLOB    NOT NULL PRIMARY KEY,  -- time-ordered; stands in the bearer value
    kind               TEXT    NOT NULL,              -- 'login' or the grant
    family             BLOB    NOT NULL,              -- the root's id
    parent             BLOB,                          -- the login it came from
    shared             INTEGER NOT NULL,              -- first party: ends with its login
    user_id            TEXT,
    user_epoch         INTEGER,                        -- the user's, when it was made; another one means it has ended
    client_id          TEXT,
    client_epoch       INTEGER,
    scope              TEXT    NOT NULL,              -- of this access token
    granted_scope      TEXT    NOT NULL,              -- of the refresh token
    audience           TEXT    NOT NULL,              -- space-delimited
    id_token           INTEGER NOT NULL,              -- whether refreshing gives one
    token_digest       BLOB,                         -- of the cookie or the opaque access token
    token_expires_at   INTEGER NOT NULL,
    refresh_digest     BLOB,
    refresh_expires_at INTEGER,                        -- null: does not expire by itself
    refresh_limit      INTEGER,                        -- the server's cap, from the first issue
    rotated_at         INTEGER,
    successor          BLOB,
    auth_time          INTEGER,
    seen_at            INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    ended_at           INTEGER,                        -- this row's token
    family_ended_at    INTEGER,                        -- on a root: the whole family
    expires_at         INTEGER NOT NULL               -- when the row may go
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_expiry ON session (expires_at);
CREATE INDEX session_by_family ON session (family) WHERE family <> id;
CREATE INDEX session_by_parent ON session (parent) WHERE shared;
CREATE INDEX session_by_user ON session (user_id) WHERE user_id IS NOT NULL;

CREATE TABLE authorization_code (
    id                BLOB    NOT NULL PRIMARY KEY,
    digest            BLOB    NOT NULL,
    client_id         TEXT    NOT NULL,
    client_epoch      INTEGER NOT NULL,
    redirect_uri      TEXT    NOT NULL,
    redirect_required INTEGER NOT NULL,               -- whether the token request must repeat it
    code_challenge    TEXT,
    user_id           TEXT    NOT NULL,
    user_epoch        INTEGER NOT NULL,
    login_id          BLOB    NOT NULL,
    shared            INTEGER NOT NULL,
    scope             TEXT    NOT NULL,
    id_token          INTEGER NOT NULL,
    nonce             TEXT,
    auth_time         INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    claimed_at        INTEGER,
    session_id        BLOB                            -- what came of it, so that a replay can end it
) STRICT, WITHOUT ROWID;
CREATE INDEX authorization_code_by_expiry ON authorization_code (expires_at);

-- JWTs that ended before their time and have no row in session.
CREATE TABLE revoked_token (
    jti        BLOB   NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_token_by_expiry ON revoked_token (expires_at);

-- Signing keys; the private part is sealed with the master key.
CREATE TABLE signing_key (
    kid         TEXT    NOT NULL PRIMARY KEY,
    alg         TEXT    NOT NULL,
    public_jwk  TEXT    NOT NULL,
    private_key BLOB   NOT NULL,
    created_at  INTEGER NOT NULL,
    signs_from  INTEGER NOT NULL,                      -- published at once, signs from here
    verifies_until INTEGER                            -- null while no later key has taken over
) STRICT, WITHOUT ROWID;

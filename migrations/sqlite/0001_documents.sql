-- What administrators PUT: clients, users and consents, as documents with the few columns that rules need.
CREATE TABLE document (
    kind       TEXT    NOT NULL,  -- 'Client', 'User', 'Grant'
    id         TEXT    NOT NULL,
    version    INTEGER NOT NULL,  -- the ETag
    body       TEXT    NOT NULL,  -- without any secret
    secrets    TEXT    NOT NULL,  -- path → stored form; takes no part in search, sort or patches
    active     INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,  -- raised when everything issued under the document must end
    user_id    TEXT,              -- of a Grant
    client_id  TEXT,              -- of a Grant
    origin     TEXT,              -- 'bundle' where `apply` made it, so that --prune knows its own
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,            -- a tombstone: the next document of this id continues version and epoch
    PRIMARY KEY (kind, id)
) STRICT;
CREATE INDEX document_by_grant ON document (user_id, client_id) WHERE kind = 'Grant';

-- Every name a person may sign in with, lower-cased: it leads to exactly one user.
CREATE TABLE login_name (
    name    TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL
) STRICT;
CREATE INDEX login_name_by_user ON login_name (user_id);

-- Raised with every change to clients or keys; nodes compare it to know what they remember is still so.
CREATE TABLE configuration (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO configuration (id, version) VALUES (1, 1);

-- Failed sign-ins, counted per key (an HMAC of an account or an address), shared by all nodes.
CREATE TABLE throttle (
    key           BLOB   NOT NULL PRIMARY KEY,
    failures      INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX throttle_by_expiry ON throttle (expires_at);

-- What administrators PUT: clients, users and consents, as documents with the few columns that rules need.
CREATE TABLE document (
    kind       TEXT    NOT NULL,  -- 'Client', 'User', 'Grant'
    id         TEXT    COLLATE "C" NOT NULL,  -- one order on both databases
    version    BIGINT  NOT NULL,  -- the ETag
    body       JSONB   NOT NULL,  -- without any secret
    secrets    JSONB   NOT NULL,  -- path → stored form; takes no part in search, sort or patches
    active     BOOLEAN NOT NULL,
    epoch      BIGINT  NOT NULL,  -- raised when everything issued under the document must end
    user_id    TEXT,              -- of a Grant
    client_id  TEXT,              -- of a Grant
    origin     TEXT,              -- 'bundle' where `apply` made it, so that --prune knows its own
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    deleted_at BIGINT,            -- a tombstone: the next document of this id continues version and epoch
    PRIMARY KEY (kind, id)
);
CREATE INDEX document_by_grant ON document (user_id, client_id) WHERE kind = 'Grant';

-- Every name a person may sign in with, lower-cased: it leads to exactly one user.
CREATE TABLE login_name (
    name    TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL
);
CREATE INDEX login_name_by_user ON login_name (user_id);

-- Raised with every change to clients or keys; nodes compare it to know what they remember is still so.
CREATE TABLE configuration (
    id      BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO configuration (id, version) VALUES (1, 1);

-- Failed sign-ins, counted per key (an HMAC of an account or an address), shared by all nodes.
CREATE TABLE throttle (
    key           BYTEA  NOT NULL PRIMARY KEY,
    failures      BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX throttle_by_expiry ON throttle (expires_at);

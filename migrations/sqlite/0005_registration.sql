-- Clients that registered themselves (RFC 7591): what lets them manage their registration (RFC 7592). The client is a document.
CREATE TABLE registration (
    client_id       TEXT   NOT NULL PRIMARY KEY,
    digest          BLOB   NOT NULL,                -- of the registration access token
    previous_digest BLOB,                          -- of the one before, good until this one is used
    expires_at      INTEGER                          -- when the client goes, unless somebody consents to it before
) STRICT;
CREATE INDEX registration_by_expiry ON registration (expires_at) WHERE expires_at IS NOT NULL;

-- What an operator hands out so that somebody may register clients.
CREATE TABLE initial_access_token (
    id         BLOB   NOT NULL PRIMARY KEY,
    digest     BLOB   NOT NULL,
    uses_left  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX initial_access_token_by_expiry ON initial_access_token (expires_at);

-- Client ID metadata documents that somebody has consented to, as they were last fetched.
CREATE TABLE metadata_document (
    client_id  TEXT   NOT NULL PRIMARY KEY,         -- the URL
    body       TEXT   NOT NULL,
    fetched_at INTEGER NOT NULL
) STRICT;
CREATE INDEX metadata_document_by_fetch ON metadata_document (fetched_at);

-- Logos of clients, fetched once, re-encoded, served from here.
CREATE TABLE logo (
    digest     BLOB   NOT NULL PRIMARY KEY,         -- of the address it came from
    png        BLOB   NOT NULL,
    fetched_at INTEGER NOT NULL
) STRICT;
CREATE INDEX logo_by_fetch ON logo (fetched_at);

-- The resources that an authorization request named (RFC 8707), space-delimited: the audience of what comes of its code.
ALTER TABLE authorization_code ADD COLUMN resource TEXT;

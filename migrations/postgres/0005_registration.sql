-- Clients that registered themselves (RFC 7591): what lets them manage their registration (RFC 7592). The client is a document.
CREATE TABLE registration (
    client_id       TEXT   NOT NULL PRIMARY KEY,
    digest          BYTEA  NOT NULL,                -- of the registration access token
    previous_digest BYTEA,                          -- of the one before, good until this one is used
    expires_at      BIGINT                          -- when the client goes, unless somebody consents to it before
);
CREATE INDEX registration_by_expiry ON registration (expires_at) WHERE expires_at IS NOT NULL;

-- What an operator hands out so that somebody may register clients.
CREATE TABLE initial_access_token (
    id         UUID   NOT NULL PRIMARY KEY,
    digest     BYTEA  NOT NULL,
    uses_left  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX initial_access_token_by_expiry ON initial_access_token (expires_at);

-- Client ID metadata documents that somebody has consented to, as they were last fetched.
CREATE TABLE metadata_document (
    client_id  TEXT   NOT NULL PRIMARY KEY,         -- the URL
    body       JSONB  NOT NULL,
    fetched_at BIGINT NOT NULL
);
CREATE INDEX metadata_document_by_fetch ON metadata_document (fetched_at);

-- Logos of clients, fetched once, re-encoded, served from here.
CREATE TABLE logo (
    digest     BYTEA  NOT NULL PRIMARY KEY,         -- of the address it came from
    png        BYTEA  NOT NULL,
    fetched_at BIGINT NOT NULL
);
CREATE INDEX logo_by_fetch ON logo (fetched_at);

-- The resources that an authorization request named (RFC 8707), space-delimited: the audience of what comes of its code.
ALTER TABLE authorization_code ADD COLUMN resource TEXT;

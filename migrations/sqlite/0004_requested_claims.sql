-- What is kept of an authorization request's `claims`: the names to show in ID tokens and at userinfo, as JSON.
ALTER TABLE authorization_code ADD COLUMN claims TEXT;
ALTER TABLE session ADD COLUMN claims TEXT;

-- The access token that left the authorization endpoint beside the code: the code's tokens join its family.
ALTER TABLE authorization_code ADD COLUMN family BLOB;

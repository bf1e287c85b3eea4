-- A row is updated once, when its token or code is spent, and no index knows of that: with some room in its page the new version goes
-- beside the old one, and no index has to be told.
ALTER TABLE session SET (fillfactor = 70);
ALTER TABLE authorization_code SET (fillfactor = 70);

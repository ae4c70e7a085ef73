-- Names under which entities that left the city are found. Written a few hundred at a time, off the way of requests.
CREATE TABLE archive_name (
    name TEXT PRIMARY KEY,
    key  INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- What somebody else keeps here under a name, sealed: the journal never sees it open.
CREATE TABLE secret (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) WITHOUT ROWID, STRICT;

-- Every table has an ascending integer key: one indexed by a random hash would cost three to four times the commit.

CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID, STRICT;

-- One row per decided command, observation and step of the drain.
CREATE TABLE record (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL, -- ms of 1970
    epoch  INTEGER NOT NULL,
    head   TEXT    NOT NULL, -- JSON: kind and version, the request without its body, the answer without its body
    body   BLOB    NOT NULL, -- the body of the request, unchanged
    events TEXT    NOT NULL, -- JSON: the events of the domain
    answer BLOB    NOT NULL,
    sum    INTEGER NOT NULL  -- BLAKE3 of all of it, 64 bits
) STRICT;

-- One row per commit.
CREATE TABLE batch (
    last    INTEGER PRIMARY KEY, -- its last record
    first   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    newest  BLOB    NOT NULL,    -- the newest id given so far, 128 bits
    keys    BLOB    NOT NULL,    -- idempotency keys: scope hash, fingerprint, record
    id      BLOB    NOT NULL,    -- BLAKE3 over the epoch, the records' sums, the keys and the newest id, 128 bits
    sum     INTEGER NOT NULL
) STRICT;

-- The entities of the city as of the last commit.
CREATE TABLE entity (
    key   INTEGER PRIMARY KEY,
    seq   INTEGER NOT NULL, -- the record that touched it last
    value BLOB    NOT NULL,
    sum   INTEGER NOT NULL
) STRICT;

-- Entities that left the city.
CREATE TABLE archive (
    key   INTEGER PRIMARY KEY,
    seq   INTEGER NOT NULL,
    value BLOB    NOT NULL,
    sum   INTEGER NOT NULL
) STRICT;

-- Records whose request the upstream has not acknowledged.
CREATE TABLE queue (
    seq   INTEGER PRIMARY KEY,
    entry BLOB    NOT NULL,
    sum   INTEGER NOT NULL
) STRICT;

-- Ids given here and the upstream's for the same thing. Written by the drain alone, so an index does not hurt.
CREATE TABLE alias (
    local    TEXT PRIMARY KEY,
    upstream TEXT    NOT NULL,
    seq      INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX alias_upstream ON alias (upstream);

INSERT INTO meta VALUES ('epoch', 0), ('trimmed', 0);

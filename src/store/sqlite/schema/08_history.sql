-- History as evidence: nothing in it is changed, and what peers signed stands beside it. All of it is the bridge's own.

CREATE TRIGGER history_stays BEFORE UPDATE ON history BEGIN
  SELECT raise(ABORT, 'history is append-only: a row is never changed');
END;

CREATE TRIGGER history_is_kept BEFORE DELETE ON history BEGIN
  SELECT raise(ABORT, 'history is append-only: a row is never removed');
END;

-- What a peer has got, and what came from it, in the order of the entries.
CREATE INDEX history_travelled ON history (peer, way, id) WHERE seq IS NOT NULL AND way IN ('out', 'in');

-- The public keys of this site ('') and of its peers, oldest first.
CREATE TABLE signing_key (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  peer        TEXT NOT NULL,
  key         TEXT NOT NULL,
  standing    TEXT NOT NULL CHECK (standing IN ('present', 'past', 'offered')),  -- offered: waits for a person
  since       TEXT NOT NULL,
  endorsement TEXT,                                           -- of this site's own: the word of the key before it
  UNIQUE (peer, key)
) STRICT;

-- The entries that a peer has signed for: the entry that keeps the receipt, and the place in it.
CREATE TABLE receipted (
  entry   INTEGER PRIMARY KEY REFERENCES history (id),
  receipt INTEGER NOT NULL REFERENCES history (id),
  place   INTEGER NOT NULL
) STRICT;

-- How far receipts have gone, by peer: given for entries of ours, taken for entries of the peer's, missed among ours.
CREATE TABLE receipt_mark (
  peer   TEXT PRIMARY KEY,
  given  INTEGER NOT NULL DEFAULT 0,
  taken  INTEGER NOT NULL DEFAULT 0,
  looked INTEGER NOT NULL DEFAULT 0,
  head   TEXT                                                 -- the last one that the peer has signed, JSON
) STRICT, WITHOUT ROWID;

-- The tokens that the history tells of.
CREATE TABLE noted_token (
  id      TEXT PRIMARY KEY,
  revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far each reader of the history has come. The bridge's own: it moves in the transaction that writes what the lines
-- led to, so that nothing is done twice and nothing left out.
CREATE TABLE consumer (
  name     TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

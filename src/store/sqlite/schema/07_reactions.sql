-- How far each reader of the history has come. The bridge's own: it moves in the transaction that writes what the lines
-- led to, so that nothing is done twice and nothing left out.
CREATE TABLE consumer (
  name     TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What this site does when something happens: policies in their order, as `casebridge reaction` keeps them. The bridge's own.
CREATE TABLE reaction (
  id         INTEGER PRIMARY KEY,
  place      INTEGER NOT NULL UNIQUE,
  owner      TEXT NOT NULL,
  name       TEXT NOT NULL,
  copy_of    INTEGER,
  definition TEXT NOT NULL CHECK (json_valid(definition)),
  UNIQUE (owner, name)
) STRICT;

-- What an event led to: one row for each action of each policy that it met. Times are milliseconds since 1970. The
-- bridge's own.
CREATE TABLE reaction_run (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  event         INTEGER NOT NULL,                             -- the line of the history
  reaction      INTEGER NOT NULL,
  action        INTEGER NOT NULL,                             -- which of the policy's, from 0
  incident      INTEGER NOT NULL REFERENCES incident (id),
  name          TEXT NOT NULL,                                -- of the policy, when it happened
  target        TEXT NOT NULL,
  attach_bundle INTEGER NOT NULL DEFAULT 0 CHECK (attach_bundle IN (0, 1)),
  message       TEXT NOT NULL CHECK (json_valid(message)),
  state         TEXT NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'done', 'given_up')),
  queued_at     INTEGER NOT NULL,
  attempts      INTEGER NOT NULL DEFAULT 0,
  due_at        INTEGER NOT NULL,
  ended_at      INTEGER,
  last_error    TEXT,
  UNIQUE (event, reaction, action)
) STRICT;
CREATE INDEX reaction_run_due ON reaction_run (target, due_at) WHERE state = 'due';
CREATE INDEX reaction_run_given_up ON reaction_run (id) WHERE state = 'given_up';
CREATE INDEX reaction_run_ended ON reaction_run (ended_at) WHERE ended_at IS NOT NULL;

-- What was promised on cases, and the instants that follow from it. The bridge's own, all of it; other programs may read it.

CREATE TABLE deadline (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  incident  INTEGER NOT NULL REFERENCES incident (id),
  uid       TEXT NOT NULL CHECK (length(uid) = 32 AND uid NOT GLOB '*[^0-9a-f]*'),
  kind      TEXT NOT NULL CHECK (kind IN ('due', 'sla')),
  promise   TEXT NOT NULL CHECK (json_valid(promise)),        -- as it travels
  revision  INTEGER NOT NULL,
  case_type TEXT,                                             -- that promised it
  origin    TEXT,                                             -- the peer that promised it
  position  INTEGER NOT NULL,                                 -- counts on with each change of one of the incident's
  -- What follows, in milliseconds since 1970; computed anew where `stale` is set. None while the clock stands still.
  warns_at  INTEGER,
  due_at    INTEGER,
  warned    INTEGER NOT NULL DEFAULT 0 CHECK (warned IN (0, 1)),
  violated  INTEGER NOT NULL DEFAULT 0 CHECK (violated IN (0, 1)),
  next_at   INTEGER,                                          -- when its job has something to do
  stale     INTEGER NOT NULL DEFAULT 1 CHECK (stale IN (0, 1)),
  UNIQUE (incident, uid)
) STRICT;

CREATE INDEX deadline_stale ON deadline (incident) WHERE stale = 1;
CREATE INDEX deadline_sla ON deadline (next_at) WHERE kind = 'sla' AND origin IS NULL AND next_at IS NOT NULL;
CREATE INDEX deadline_due ON deadline (case_type, next_at) WHERE kind = 'due' AND origin IS NULL AND next_at IS NOT NULL;

-- By which people look for cases.
CREATE INDEX deadline_due_at ON deadline (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deadline_warns_at ON deadline (warns_at) WHERE warns_at IS NOT NULL;
CREATE INDEX deadline_violated ON deadline (incident) WHERE violated = 1;

CREATE TRIGGER deadline_made AFTER INSERT ON deadline WHEN NEW.origin IS NULL BEGIN
  UPDATE change_clock SET last = last + 1;
  UPDATE incident SET change_seq = (SELECT last FROM change_clock) WHERE id = NEW.incident;
END;

CREATE TRIGGER deadline_changed AFTER UPDATE OF revision ON deadline WHEN NEW.origin IS NULL BEGIN
  UPDATE change_clock SET last = last + 1;
  UPDATE incident SET change_seq = (SELECT last FROM change_clock) WHERE id = NEW.incident;
END;

-- Whoever moves a case moves its deadlines.
CREATE TRIGGER deadline_moved_by_milestone AFTER INSERT ON milestone BEGIN
  UPDATE deadline SET stale = 1 WHERE incident = NEW.incident;
END;

CREATE TRIGGER deadline_moved_by_state AFTER UPDATE OF state ON incident WHEN NEW.state <> OLD.state BEGIN
  UPDATE deadline SET stale = 1 WHERE incident = NEW.id;
END;

-- Cases of which nobody has looked yet what is promised on them, or what is promised since they changed.
CREATE TABLE untimed (
  incident INTEGER PRIMARY KEY REFERENCES incident (id) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

CREATE TRIGGER untimed_inserted AFTER INSERT ON incident BEGIN
  INSERT OR IGNORE INTO untimed VALUES (NEW.id);
END;

CREATE TRIGGER untimed_changed AFTER UPDATE OF case_type, priority, form ON incident
WHEN NEW.priority IS NOT OLD.priority OR NEW.form ->> 'priority' IS NOT OLD.form ->> 'priority'
  OR (NEW.case_type IS NOT OLD.case_type AND NEW.bridge = OLD.bridge) BEGIN
  INSERT OR IGNORE INTO untimed VALUES (NEW.id);
END;

-- Resolved cases that are to be closed, each once for each time that it was resolved (M-06).
CREATE TABLE closing (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  incident    INTEGER NOT NULL REFERENCES incident (id),
  resolved_at TEXT NOT NULL,
  queued_at   TEXT NOT NULL,
  next_at     INTEGER NOT NULL,                               -- in milliseconds since 1970
  attempts    INTEGER NOT NULL DEFAULT 0,
  outcome     TEXT CHECK (outcome IN ('closed', 'overtaken', 'refused')),
  reason      TEXT,
  UNIQUE (incident, resolved_at)
) STRICT;

CREATE INDEX closing_open ON closing (next_at) WHERE outcome IS NULL;
CREATE INDEX incident_resolved ON incident (case_type, unixepoch(state_since)) WHERE state = 'resolved' AND case_type IS NOT NULL;

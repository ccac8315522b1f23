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

-- What follows for the case, computed with the instants: by which people look for cases.
ALTER TABLE incident ADD COLUMN sort_due TEXT NOT NULL DEFAULT 'none';     -- its due date, or the last one while the clock stands still
ALTER TABLE incident ADD COLUMN due_stands_still INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incident ADD COLUMN breached INTEGER NOT NULL DEFAULT 0;       -- 1: one was missed
ALTER TABLE incident ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;         -- 1: one was warned of, and is not missed as far as is noted

-- Those with which a job, here or at the site that promised, has something to do: they are not marked above yet.
CREATE INDEX deadline_next ON deadline (next_at) WHERE next_at IS NOT NULL;

CREATE INDEX incident_due ON incident (sort_due);

-- For what lists are filtered by most, in each of their orders. An index of none of its rows costs a write nothing.
CREATE INDEX incident_state_created ON incident (state, sort_created);
CREATE INDEX incident_state_updated ON incident (state, sort_updated);
CREATE INDEX incident_state_priority ON incident (state, sort_priority);
CREATE INDEX incident_state_due ON incident (state, sort_due);
CREATE INDEX incident_client_created ON incident (client, sort_created) WHERE client IS NOT NULL;
CREATE INDEX incident_client_updated ON incident (client, sort_updated) WHERE client IS NOT NULL;
CREATE INDEX incident_client_priority ON incident (client, sort_priority) WHERE client IS NOT NULL;
CREATE INDEX incident_client_due ON incident (client, sort_due) WHERE client IS NOT NULL;
CREATE INDEX incident_group_created ON incident (device_group, sort_created) WHERE device_group IS NOT NULL;
CREATE INDEX incident_group_updated ON incident (device_group, sort_updated) WHERE device_group IS NOT NULL;
CREATE INDEX incident_group_priority ON incident (device_group, sort_priority) WHERE device_group IS NOT NULL;
CREATE INDEX incident_group_due ON incident (device_group, sort_due) WHERE device_group IS NOT NULL;
CREATE INDEX incident_type_created ON incident (case_type, sort_created) WHERE case_type IS NOT NULL;
CREATE INDEX incident_type_updated ON incident (case_type, sort_updated) WHERE case_type IS NOT NULL;
CREATE INDEX incident_type_priority ON incident (case_type, sort_priority) WHERE case_type IS NOT NULL;
CREATE INDEX incident_type_due ON incident (case_type, sort_due) WHERE case_type IS NOT NULL;
CREATE INDEX incident_owner_created ON incident (owner, sort_created) WHERE owner IS NOT NULL;
CREATE INDEX incident_owner_updated ON incident (owner, sort_updated) WHERE owner IS NOT NULL;
CREATE INDEX incident_owner_priority ON incident (owner, sort_priority) WHERE owner IS NOT NULL;
CREATE INDEX incident_owner_due ON incident (owner, sort_due) WHERE owner IS NOT NULL;

CREATE INDEX incident_breached ON incident (breached) WHERE breached = 1;
CREATE INDEX incident_breached_created ON incident (breached, sort_created) WHERE breached = 1;
CREATE INDEX incident_breached_updated ON incident (breached, sort_updated) WHERE breached = 1;
CREATE INDEX incident_breached_priority ON incident (breached, sort_priority) WHERE breached = 1;
CREATE INDEX incident_breached_due ON incident (breached, sort_due) WHERE breached = 1;
CREATE INDEX incident_warned ON incident (warned) WHERE warned = 1;
CREATE INDEX incident_warned_created ON incident (warned, sort_created) WHERE warned = 1;
CREATE INDEX incident_warned_updated ON incident (warned, sort_updated) WHERE warned = 1;
CREATE INDEX incident_warned_priority ON incident (warned, sort_priority) WHERE warned = 1;
CREATE INDEX incident_warned_due ON incident (warned, sort_due) WHERE warned = 1;

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

-- What a case has for the people who work on it, beside its incident record. None of it travels by itself. Other programs may
-- read it; they write what is not marked as the bridge's own.

ALTER TABLE incident ADD COLUMN case_type TEXT;                             -- a name of the configuration
ALTER TABLE incident ADD COLUMN initiator TEXT;                             -- who asked for it
ALTER TABLE incident ADD COLUMN initiator_type TEXT CHECK (initiator_type IN ('USER', 'CUSTOMER'));
ALTER TABLE incident ADD COLUMN initiator_first_name TEXT;
ALTER TABLE incident ADD COLUMN initiator_last_name TEXT;
ALTER TABLE incident ADD COLUMN created_by TEXT;                            -- who entered it
ALTER TABLE incident ADD COLUMN location TEXT;
ALTER TABLE incident ADD COLUMN location_id TEXT;                           -- a UUID
ALTER TABLE incident ADD COLUMN location_code TEXT;
ALTER TABLE incident ADD COLUMN completed_percent INTEGER NOT NULL DEFAULT 0 CHECK (completed_percent BETWEEN 0 AND 100);
ALTER TABLE incident ADD COLUMN relation TEXT CHECK (relation IS NULL OR json_valid(relation));  -- the case that it came from
ALTER TABLE incident ADD COLUMN owner TEXT;
ALTER TABLE incident ADD COLUMN owner_status TEXT CHECK (owner_status IN ('Assigned', 'In Progress', 'Completed'));
ALTER TABLE incident ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1));    -- 1 hides it from the lists
-- The bridge's own.
ALTER TABLE incident ADD COLUMN resolved_by TEXT;
ALTER TABLE incident ADD COLUMN resolution_date TEXT;
ALTER TABLE incident ADD COLUMN assigned INTEGER NOT NULL DEFAULT 0;        -- how many users and groups it is assigned to

-- Another program says that it is resolved, and not who did it.
CREATE TRIGGER incident_resolved AFTER UPDATE OF phase ON incident
WHEN NEW.phase = 'review' AND OLD.phase <> 'review' AND NEW.resolution_date IS OLD.resolution_date BEGIN
  UPDATE incident SET resolved_by = NULL, resolution_date = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;

CREATE TRIGGER incident_resolved_inserted AFTER INSERT ON incident WHEN NEW.phase = 'review' AND NEW.resolution_date IS NULL BEGIN
  UPDATE incident SET resolution_date = coalesce(NEW.state_since, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) WHERE id = NEW.id;
END;

-- For the filters of lists. The number comes after the column in each, so that a page goes on where the last one ended.
CREATE INDEX incident_by_state ON incident (state);
CREATE INDEX incident_client ON incident (client) WHERE client IS NOT NULL;
CREATE INDEX incident_client_state ON incident (client, state) WHERE client IS NOT NULL;
CREATE INDEX incident_group ON incident (device_group) WHERE device_group IS NOT NULL;
CREATE INDEX incident_group_state ON incident (device_group, state) WHERE device_group IS NOT NULL;
CREATE INDEX incident_type ON incident (case_type) WHERE case_type IS NOT NULL;
CREATE INDEX incident_owner ON incident (owner) WHERE owner IS NOT NULL;
CREATE INDEX incident_initiator ON incident (initiator) WHERE initiator IS NOT NULL;
CREATE INDEX incident_assigned ON incident (assigned);
CREATE INDEX incident_priority ON incident (sort_priority);
CREATE INDEX incident_created ON incident (sort_created);
CREATE INDEX incident_updated ON incident (sort_updated);

-- Users and groups that a case is assigned to, its tags, and who watches it.
CREATE TABLE case_mark (
  kind     TEXT NOT NULL CHECK (kind IN ('user', 'group', 'tag', 'watcher')),
  name     TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
  incident INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  PRIMARY KEY (kind, name, incident)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_mark_incident ON case_mark (incident);

CREATE TRIGGER case_assigned AFTER INSERT ON case_mark WHEN NEW.kind IN ('user', 'group') BEGIN
  UPDATE incident SET assigned = assigned + 1 WHERE id = NEW.incident;
END;

CREATE TRIGGER case_unassigned AFTER DELETE ON case_mark WHEN OLD.kind IN ('user', 'group') BEGIN
  UPDATE incident SET assigned = assigned - 1 WHERE id = OLD.incident;
END;

CREATE TRIGGER case_mark_stays BEFORE UPDATE ON case_mark BEGIN
  SELECT raise(ABORT, 'delete the mark, and insert another');
END;

-- Cases that somebody put before somebody else.
CREATE TABLE case_flag (
  user       TEXT NOT NULL CHECK (length(user) BETWEEN 1 AND 128),
  incident   INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  flagged_by TEXT NOT NULL,
  flagged_at TEXT NOT NULL,
  unread     INTEGER NOT NULL DEFAULT 1 CHECK (unread IN (0, 1)),
  PRIMARY KEY (user, incident)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_flag_incident ON case_flag (incident);

-- 1: of whom the case was opened for.
ALTER TABLE comment ADD COLUMN initiator INTEGER NOT NULL DEFAULT 0 CHECK (initiator IN (0, 1));

-- What people say and do on a case is a part of its revision: whoever decides on how it stood sees that it moved on. What its type
-- promises is not: that follows by itself, a moment later.
CREATE TRIGGER comment_touches AFTER INSERT ON comment BEGIN
  UPDATE incident SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), revision = revision + 1 WHERE id = NEW.incident;
END;

CREATE TRIGGER comment_change_revises AFTER UPDATE OF text, language, internal, deleted ON comment BEGIN
  UPDATE incident SET revision = revision + 1 WHERE id = NEW.incident;
END;

CREATE TRIGGER attachment_revises AFTER INSERT ON attachment BEGIN
  UPDATE incident SET revision = revision + 1 WHERE id = NEW.incident;
END;

CREATE TRIGGER attachment_change_revises AFTER UPDATE OF state, content ON attachment BEGIN
  UPDATE incident SET revision = revision + 1 WHERE id = NEW.incident;
END;

CREATE TRIGGER attachment_removal_revises AFTER DELETE ON attachment BEGIN
  UPDATE incident SET revision = revision + 1 WHERE id = OLD.incident;
END;

CREATE TRIGGER flag_change_revises AFTER UPDATE OF unread ON case_flag WHEN NEW.unread <> OLD.unread BEGIN
  UPDATE incident SET revision = revision + 1 WHERE id = NEW.incident;
END;

-- The words of the titles. The bridge brings them up to date before it looks for any: what other programs write to does not
-- need an SQLite that knows such tables.
CREATE VIRTUAL TABLE incident_text USING fts5 (synopsis, detail = none);

CREATE TABLE incident_text_due (
  incident INTEGER PRIMARY KEY
) STRICT;

CREATE TRIGGER incident_text_inserted AFTER INSERT ON incident BEGIN
  INSERT OR IGNORE INTO incident_text_due VALUES (NEW.id);
END;

CREATE TRIGGER incident_text_deleted AFTER DELETE ON incident BEGIN
  INSERT OR IGNORE INTO incident_text_due VALUES (OLD.id);
END;

CREATE TRIGGER incident_text_updated AFTER UPDATE OF id, synopsis ON incident WHEN NEW.synopsis <> OLD.synopsis OR NEW.id <> OLD.id BEGIN
  INSERT OR IGNORE INTO incident_text_due VALUES (OLD.id), (NEW.id);
END;

-- The incident store of one site. Any program may read it, insert incidents and comments, and edit the columns that are
-- not marked as the bridge's own.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Counts the changes made by anyone but the bridge, in the order of their commits: writers take turns in SQLite, so a
-- slow one gets its number when its turn comes.
CREATE TABLE change_clock (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  last INTEGER NOT NULL
) STRICT;
INSERT INTO change_clock VALUES (1, 0);

CREATE TABLE incident (
  -- The bound leaves room for those that come after, and JSON readers keep it exactly.
  id                  INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id < 9007199254740992),
  revision            INTEGER NOT NULL DEFAULT 1,             -- the bridge's own
  bridge              INTEGER NOT NULL DEFAULT 0,             -- the bridge's own: counts its writes
  change_seq          INTEGER NOT NULL DEFAULT 0,             -- the bridge's own
  generation          INTEGER NOT NULL DEFAULT 0,             -- the bridge's own
  client              TEXT,                                   -- the client that it was opened for; set at the insert by who enters a case for one
  trace_route         TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(trace_route)),
  device_group        TEXT,
  created_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
                        CHECK (created_at LIKE '____-__-__%' AND datetime(created_at) IS NOT NULL),
  updated_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  host_event_id       TEXT NOT NULL CHECK (length(host_event_id) BETWEEN 1 AND 256),
  kind                TEXT NOT NULL DEFAULT 'event' CHECK (kind IN ('event', 'event_rma', 'event_low_end', 'on_demand',
                        'on_demand_rma', 'on_demand_information', 'health_check', 'bios_check', 'off_box', 'information')),
  synopsis            TEXT NOT NULL CHECK (length(synopsis) BETWEEN 1 AND 1024),
  description         TEXT NOT NULL DEFAULT '',
  priority            TEXT CHECK (priority IN ('1 - Critical', '2 - High', '3 - Medium', '4 - Low')),
  severity            TEXT,
  problem_class       TEXT,
  service_type        TEXT,
  event_type          TEXT,
  event_type_group    TEXT,
  occurred_at         TEXT CHECK (occurred_at IS NULL OR (occurred_at LIKE '____-__-__%' AND datetime(occurred_at) IS NOT NULL)),
  device              TEXT,
  serial              TEXT,
  manifest            TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(manifest)),
  submission          TEXT NOT NULL DEFAULT 'undecided' CHECK (submission IN ('undecided', 'held', 'draft', 'requested')),
  form                TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(form)),
  phase               TEXT NOT NULL DEFAULT 'initial_support' CHECK (phase IN ('initial_support', 'escalate', 'review', 'close')),
  solution            TEXT,
  completion_code     TEXT CHECK (completion_code IN ('fulfilled', 'withdrawn_by_user', 'request_rejected', 'abandoned_by_user')),
  expected_resolution TEXT CHECK (expected_resolution IS NULL
                        OR (expected_resolution LIKE '____-__-__%' AND datetime(expected_resolution) IS NOT NULL)),
  case_id             TEXT,
  case_link           TEXT,
  case_status         TEXT,
  case_contact        TEXT CHECK (case_contact IS NULL OR json_valid(case_contact)),  -- who has it there: a person, as JSON
  assignment          TEXT CHECK (length(assignment) BETWEEN 1 AND 128),    -- the group that has the record in hand
  active              INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),  -- 0 stops the exchange of this record
  -- Where the case stands for its people. In the phases initial_support and escalate it may be set to one of the first five;
  -- the others follow from phase and completion_code.
  state               TEXT NOT NULL DEFAULT 'opened' CHECK (state IN ('opened', 'in_process', 'input_requested', 'on_hold', 'reopened',
                        'resolved', 'completed', 'canceled')),
  state_since         TEXT CHECK (state_since IS NULL OR (state_since LIKE '____-__-__%' AND datetime(state_since) IS NOT NULL)),
  -- The bridge's own: the upstream's case of a client's incident, and which parts the client sees in our own words.
  upstream_case_id     TEXT,
  upstream_case_link   TEXT,
  upstream_case_status TEXT,
  upstream_case_contact TEXT CHECK (upstream_case_contact IS NULL OR json_valid(upstream_case_contact)),
  case_own             TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(case_own)),
  -- By which lists are ordered: other programs write times in other zones and forms, which would not compare as text. Stored, since
  -- they are in many indexes, each of which would compute them anew.
  sort_created TEXT AS (iif(created_at LIKE '____-__-__%', strftime('%Y-%m-%d %H:%M:%f', created_at), NULL)) STORED,
  sort_updated TEXT AS (iif(updated_at LIKE '____-__-__%', strftime('%Y-%m-%d %H:%M:%f', updated_at), NULL)) STORED,
  sort_priority TEXT AS (coalesce(iif(json_valid(form), form ->> 'priority', NULL), priority, '9')) STORED
) STRICT;

CREATE UNIQUE INDEX incident_host_event ON incident (host_event_id) WHERE client IS NULL;
CREATE INDEX incident_change ON incident (change_seq);
CREATE INDEX incident_tracking ON incident (form ->> 'tracking_number') WHERE form ->> 'tracking_number' IS NOT NULL;

CREATE TRIGGER incident_inserted AFTER INSERT ON incident WHEN NEW.bridge = 0 BEGIN
  UPDATE change_clock SET last = last + 1;
  UPDATE incident SET change_seq = (SELECT last FROM change_clock) WHERE id = NEW.id;
END;

CREATE TRIGGER incident_updated
AFTER UPDATE OF device_group, kind, synopsis, description, priority, severity, problem_class, service_type, event_type,
  event_type_group, occurred_at, device, serial, manifest, submission, form, phase, solution, completion_code,
  expected_resolution, case_id, case_link, case_status, case_contact, generation, assignment,
  active
ON incident WHEN NEW.bridge = OLD.bridge BEGIN
  UPDATE change_clock SET last = last + 1;
  UPDATE incident
  SET change_seq = (SELECT last FROM change_clock),
      revision = OLD.revision + 1,
      updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  WHERE id = NEW.id;
END;

-- Whoever replaces a row removes the one that its case belongs to, with its comments. `INSERT OR REPLACE` alone makes the
-- inner statement fail: a plain INSERT has its own error, OR IGNORE and ON CONFLICT do what they say.
CREATE TABLE replaced (
  row INTEGER CONSTRAINT "an incident is not replaced: UPDATE its row" CHECK (row IS NULL)
) STRICT;

CREATE TRIGGER incident_is_not_replaced BEFORE INSERT ON incident
WHEN EXISTS (SELECT 1 FROM incident WHERE id = NEW.id)
  OR NEW.client IS NULL AND EXISTS (SELECT 1 FROM incident WHERE host_event_id = NEW.host_event_id AND client IS NULL) BEGIN
  INSERT OR IGNORE INTO replaced VALUES (NEW.id);
END;

CREATE TRIGGER incident_stays BEFORE DELETE ON incident WHEN EXISTS (SELECT 1 FROM reference WHERE incident = OLD.id) BEGIN
  SELECT raise(ABORT, 'what a peer has as well is not deleted: cancel it, or set active = 0');
END;

-- The natural key names the incident for good: its exchange is made from it.
CREATE TRIGGER incident_keeps_its_name BEFORE UPDATE OF host_event_id ON incident WHEN NEW.host_event_id <> OLD.host_event_id BEGIN
  SELECT raise(ABORT, 'host_event_id is the natural key of an incident and cannot be changed');
END;

-- The external reference record: which exchange at which peer an incident belongs to. The bridge's own.
CREATE TABLE reference (
  peer           TEXT NOT NULL,
  exchange       TEXT NOT NULL,
  incident       INTEGER NOT NULL REFERENCES incident (id),
  towards        TEXT NOT NULL CHECK (towards IN ('upstream', 'client')),
  peer_incident  INTEGER,
  transaction_id TEXT,
  applied        INTEGER NOT NULL DEFAULT 0,
  standing       TEXT NOT NULL CHECK (standing IN ('submitted', 'acknowledged', 'created', 'resolved', 'closed', 'rejected')),
  holder         TEXT NOT NULL CHECK (holder IN ('us', 'peer')),      -- who has the case in hand
  PRIMARY KEY (peer, exchange)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_incident ON reference (incident);

CREATE TABLE comment (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  uid        TEXT NOT NULL DEFAULT (lower(hex(randomblob(16))))       -- a UUID without its hyphens
               CHECK (length(uid) = 32 AND uid NOT GLOB '*[^0-9a-f]*'),
  incident   INTEGER NOT NULL REFERENCES incident (id),
  author     TEXT NOT NULL,
  written_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
               CHECK (written_at LIKE '____-__-__%' AND datetime(written_at) IS NOT NULL),
  text       TEXT NOT NULL,
  language   TEXT,                                            -- a BCP 47 tag, such as 'fr'
  internal   INTEGER NOT NULL DEFAULT 0 CHECK (internal IN (0, 1)),  -- 1: for this site's own people
  deleted    INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
  edits      INTEGER NOT NULL DEFAULT 0,                      -- the bridge's own: counts the author's edits
  change     INTEGER,                                         -- the bridge's own: the number of the last edit
  origin     TEXT,                                            -- the bridge's own: the peer that it came from
  came_in    TEXT,                                            -- the bridge's own: the exchange that it came in
  UNIQUE (incident, uid)
) STRICT;

CREATE TRIGGER comment_inserted AFTER INSERT ON comment WHEN NEW.origin IS NULL BEGIN
  UPDATE change_clock SET last = last + 1;
  UPDATE incident SET change_seq = (SELECT last FROM change_clock) WHERE id = NEW.incident;
END;

-- An edit gets a number behind that of every comment, as if it had just been written.
CREATE TRIGGER comment_edited AFTER UPDATE OF text, language, internal, deleted ON comment WHEN NEW.edits = OLD.edits BEGIN
  SELECT raise(ABORT, 'a comment from another site is edited there') WHERE NEW.origin IS NOT NULL;
  SELECT raise(ABORT, 'a comment that other sites may have cannot become internal: set deleted = 1, and write another')
  WHERE NEW.internal > OLD.internal;
  UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'comment';
  UPDATE comment SET edits = OLD.edits + 1, change = (SELECT seq FROM sqlite_sequence WHERE name = 'comment')
  WHERE id = NEW.id;
  UPDATE change_clock SET last = last + 1;
  UPDATE incident SET change_seq = (SELECT last FROM change_clock) WHERE id = NEW.incident;
END;

CREATE TRIGGER comment_edit_taken AFTER UPDATE OF text ON comment WHEN NEW.edits > OLD.edits BEGIN
  UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'comment';
  UPDATE comment SET change = (SELECT seq FROM sqlite_sequence WHERE name = 'comment') WHERE id = NEW.id;
  UPDATE change_clock SET last = last + 1 WHERE NEW.origin IS NULL;
  UPDATE incident SET change_seq = (SELECT last FROM change_clock) WHERE id = NEW.incident AND NEW.origin IS NULL;
END;

CREATE TRIGGER comment_stays BEFORE DELETE ON comment BEGIN
  SELECT raise(ABORT, 'a deletion has to travel: set deleted = 1 instead');
END;

CREATE TABLE attachment (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  incident   INTEGER NOT NULL REFERENCES incident (id),
  name       TEXT NOT NULL,
  media_type TEXT,
  state      TEXT NOT NULL CHECK (state IN ('stored', 'awaited', 'failed')),
  reason     TEXT,
  bytes      INTEGER,
  sha256     TEXT,
  content    INTEGER REFERENCES content (id),
  origin     TEXT,                                            -- the peer that it came from
  UNIQUE (incident, name)
) STRICT;
CREATE INDEX attachment_awaited ON attachment (id) WHERE state = 'awaited';
CREATE INDEX attachment_content ON attachment (content);

-- The content of files, each kept once for whom it came from: what one peer has sent tells another nothing.
CREATE TABLE content (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  source   TEXT NOT NULL,                                     -- the peer; empty for the site's own
  sha256   TEXT NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  bytes    INTEGER NOT NULL,
  received INTEGER NOT NULL DEFAULT 0,
  hash     BLOB,                                              -- SHA-256 of what was received so far, to go on with
  complete INTEGER NOT NULL DEFAULT 0,                        -- all is there, and its digest is right
  UNIQUE (source, sha256, bytes)
) STRICT;

CREATE TABLE content_part (
  content INTEGER NOT NULL REFERENCES content (id) ON DELETE CASCADE,
  start   INTEGER NOT NULL,
  data    BLOB NOT NULL,
  PRIMARY KEY (content, start)
) STRICT;

-- What goes to a peer: an attachment as it is, or with addresses hidden. Its content follows the announcement.
CREATE TABLE outgoing (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  attachment INTEGER NOT NULL REFERENCES attachment (id),
  incident   INTEGER NOT NULL REFERENCES incident (id),
  peer       TEXT NOT NULL,
  exchange   TEXT NOT NULL,
  state      TEXT NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'ready', 'sent', 'skipped', 'failed')),
  reason     TEXT,
  content    INTEGER REFERENCES content (id),
  position   INTEGER NOT NULL DEFAULT 0,
  told_as    TEXT,                                            -- the name that the peer knows, where it is another one
  served     INTEGER NOT NULL DEFAULT 0,                      -- bytes that a client has fetched, from the first one on
  UNIQUE (attachment, peer)
) STRICT;
CREATE INDEX outgoing_incident ON outgoing (incident);
CREATE INDEX outgoing_content ON outgoing (content);
CREATE INDEX outgoing_due ON outgoing (id) WHERE state = 'due';
CREATE INDEX outgoing_ready ON outgoing (peer, id) WHERE state = 'ready';
CREATE INDEX outgoing_failed ON outgoing (incident) WHERE state = 'failed';
CREATE INDEX outgoing_exchange ON outgoing (peer, exchange);

-- What a peer has announced.
CREATE TABLE incoming (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  incident   INTEGER NOT NULL REFERENCES incident (id),
  peer       TEXT NOT NULL,
  exchange   TEXT NOT NULL,
  name       TEXT NOT NULL,
  media_type TEXT,
  content    INTEGER NOT NULL REFERENCES content (id),
  state      TEXT NOT NULL CHECK (state IN ('awaited', 'arrived', 'refused', 'failed')),
  reason     TEXT,
  tries      INTEGER NOT NULL DEFAULT 0,                      -- times that the whole had another digest
  kept_as    TEXT,                                            -- the name that it has here, where `name` is another file's
  UNIQUE (incident, peer, name)
) STRICT;
CREATE INDEX incoming_content ON incoming (content);
CREATE INDEX incoming_awaited ON incoming (peer, id) WHERE state = 'awaited';
CREATE INDEX incoming_failed ON incoming (incident) WHERE state = 'failed';
CREATE INDEX incoming_exchange ON incoming (peer, exchange);

-- A file that is there goes to every peer of its incident but the one that it came from. The new row has a higher number,
-- so that what was changed is told again.
CREATE TRIGGER attachment_inserted AFTER INSERT ON attachment WHEN NEW.content IS NOT NULL BEGIN
  INSERT INTO outgoing (attachment, incident, peer, exchange)
  SELECT NEW.id, NEW.incident, peer, exchange FROM reference
  WHERE incident = NEW.incident AND peer IS NOT NEW.origin AND standing <> 'rejected';
END;

CREATE TRIGGER attachment_changed AFTER UPDATE OF content ON attachment WHEN NEW.content IS NOT OLD.content BEGIN
  DELETE FROM outgoing WHERE attachment = NEW.id;
  INSERT INTO outgoing (attachment, incident, peer, exchange)
  SELECT NEW.id, NEW.incident, peer, exchange FROM reference
  WHERE incident = NEW.incident AND peer IS NOT NEW.origin AND standing <> 'rejected';
  DELETE FROM content WHERE id = OLD.content AND NOT EXISTS (SELECT 1 FROM attachment WHERE content = OLD.content)
    AND NOT EXISTS (SELECT 1 FROM outgoing WHERE content = OLD.content)
    AND NOT EXISTS (SELECT 1 FROM incoming WHERE content = OLD.content);
END;

CREATE TRIGGER reference_inserted AFTER INSERT ON reference BEGIN
  DELETE FROM outgoing WHERE incident = NEW.incident AND peer = NEW.peer;
  INSERT INTO outgoing (attachment, incident, peer, exchange)
  SELECT id, incident, NEW.peer, NEW.exchange FROM attachment
  WHERE incident = NEW.incident AND content IS NOT NULL AND origin IS NOT NEW.peer;
END;

CREATE TRIGGER outgoing_deleted AFTER DELETE ON outgoing WHEN OLD.content IS NOT NULL BEGIN
  DELETE FROM content WHERE id = OLD.content AND NOT EXISTS (SELECT 1 FROM attachment WHERE content = OLD.content)
    AND NOT EXISTS (SELECT 1 FROM outgoing WHERE content = OLD.content)
    AND NOT EXISTS (SELECT 1 FROM incoming WHERE content = OLD.content);
END;

CREATE TRIGGER incoming_changed AFTER UPDATE OF content ON incoming WHEN NEW.content <> OLD.content BEGIN
  DELETE FROM content WHERE id = OLD.content AND NOT EXISTS (SELECT 1 FROM attachment WHERE content = OLD.content)
    AND NOT EXISTS (SELECT 1 FROM outgoing WHERE content = OLD.content)
    AND NOT EXISTS (SELECT 1 FROM incoming WHERE content = OLD.content);
END;

-- Append-only, and each row is chained to the one before it: 08_history.sql. The bridge's own.
CREATE TABLE history (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,                 -- without a gap, from 1
  incident INTEGER REFERENCES incident (id),                  -- NULL: about the site itself
  at       TEXT NOT NULL,
  who      TEXT NOT NULL,
  action   TEXT NOT NULL,
  exchange TEXT,
  seq      INTEGER,
  detail   TEXT NOT NULL,
  node     TEXT NOT NULL,                                     -- the machine that made it
  peer     TEXT,
  way      TEXT CHECK (way IN ('out', 'refused', 'in', 'shown')),      -- of the operation that it tells of
  sha256   TEXT,                                              -- of `content`, or of what came from the peer
  context  TEXT,                                              -- old and new values, JSON
  hash     TEXT NOT NULL CHECK (length(hash) = 64),           -- over the row before it and this one
  content  TEXT                                               -- the operation as it went out; a peer's receipt
) STRICT;
CREATE INDEX history_incident ON history (incident, id);

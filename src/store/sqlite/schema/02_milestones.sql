-- What happened to a case, once each: its states, what its people were told, what a person gave a name. Both sites keep all
-- of them. Insert `incident` and `fact`, such as '{"named":"Technician on site"}'; the rest is filled in.
CREATE TABLE milestone (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  incident INTEGER NOT NULL REFERENCES incident (id),
  uid      TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))) CHECK (length(uid) = 32 AND uid NOT GLOB '*[^0-9a-f]*'),
  n        INTEGER NOT NULL DEFAULT 0 CHECK (n BETWEEN 0 AND 1000000000),  -- 0: one more than the highest
  at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
             CHECK (at LIKE '____-__-__%' AND datetime(at) IS NOT NULL),
  fact     TEXT NOT NULL CHECK (json_valid(fact)),
  state    TEXT AS (fact ->> 'state') STORED,
  origin   TEXT,                                              -- the bridge's own: the peer that it came from
  came_in  TEXT,                                              -- the bridge's own: the exchange that it came in
  UNIQUE (incident, uid)
) STRICT;

-- A record that is changed by anybody but the bridge moves through the states on its own; the bridge brings the peer's own.
CREATE TRIGGER incident_state_changed AFTER UPDATE OF phase, completion_code, state ON incident
WHEN NEW.bridge = OLD.bridge AND (NEW.phase <> OLD.phase OR NEW.completion_code IS NOT OLD.completion_code OR NEW.state <> OLD.state) BEGIN
  UPDATE incident SET state = OLD.state, revision = OLD.revision + 1 WHERE id = NEW.id;
  INSERT INTO milestone (incident, at, fact)
  SELECT NEW.id,
    iif(NEW.state_since IS NOT OLD.state_since, NEW.state_since, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    json_object('state', state)
  FROM (SELECT CASE
    WHEN NEW.phase = 'review' THEN 'resolved'
    WHEN NEW.phase = 'close' AND NEW.completion_code IN ('withdrawn_by_user', 'request_rejected', 'abandoned_by_user') THEN 'canceled'
    WHEN NEW.phase = 'close' THEN 'completed'
    WHEN OLD.phase IN ('review', 'close') THEN 'reopened'
    WHEN NEW.state IN ('resolved', 'completed', 'canceled') THEN OLD.state
    ELSE NEW.state END AS state)
  WHERE state <> OLD.state;
END;

CREATE TRIGGER incident_state_followed AFTER UPDATE OF phase, completion_code ON incident
WHEN NEW.bridge <> OLD.bridge AND (NEW.phase <> OLD.phase OR NEW.completion_code IS NOT OLD.completion_code) BEGIN
  UPDATE incident SET bridge = bridge + 1, state = CASE
    WHEN phase = 'review' THEN 'resolved'
    WHEN phase = 'close' AND completion_code IN ('withdrawn_by_user', 'request_rejected', 'abandoned_by_user') THEN 'canceled'
    WHEN phase = 'close' THEN 'completed'
    ELSE coalesce((SELECT m.state FROM milestone m WHERE m.incident = NEW.id
           AND m.state IN ('opened', 'in_process', 'input_requested', 'on_hold', 'reopened') ORDER BY m.n DESC, m.uid DESC LIMIT 1), 'opened') END
  WHERE id = NEW.id;
END;

-- Only other programs insert a case that stands elsewhere than at its beginning.
CREATE TRIGGER incident_state_inserted AFTER INSERT ON incident WHEN NEW.phase IN ('review', 'close') OR NEW.state <> 'opened' BEGIN
  UPDATE incident SET bridge = bridge + 1, state = CASE
    WHEN phase = 'review' THEN 'resolved'
    WHEN phase = 'close' AND completion_code IN ('withdrawn_by_user', 'request_rejected', 'abandoned_by_user') THEN 'canceled'
    WHEN phase = 'close' THEN 'completed'
    WHEN state IN ('resolved', 'completed', 'canceled') THEN 'opened'
    ELSE state END
  WHERE id = NEW.id;
  INSERT INTO milestone (incident, at, fact)
  SELECT id, coalesce(NEW.state_since, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), json_object('state', state)
  FROM incident WHERE id = NEW.id AND state <> 'opened';
END;

-- The state is that of the phase and, within the resolution phases, of the last milestone that tells one: at both sites the same.
CREATE TRIGGER milestone_inserted AFTER INSERT ON milestone BEGIN
  UPDATE milestone
  SET n = min(1000000000, 1 + (SELECT max(n) FROM milestone WHERE incident = NEW.incident))
  WHERE id = NEW.id AND n = 0;
  UPDATE incident SET bridge = bridge + 1, state_since = NEW.at, state = CASE
    WHEN phase = 'review' THEN 'resolved'
    WHEN phase = 'close' AND completion_code IN ('withdrawn_by_user', 'request_rejected', 'abandoned_by_user') THEN 'canceled'
    WHEN phase = 'close' THEN 'completed'
    ELSE coalesce((SELECT m.state FROM milestone m WHERE m.incident = NEW.incident
           AND m.state IN ('opened', 'in_process', 'input_requested', 'on_hold', 'reopened') ORDER BY m.n DESC, m.uid DESC LIMIT 1), 'opened') END
  WHERE id = NEW.incident AND NEW.state IS NOT NULL;
  UPDATE incident SET revision = revision + 1 WHERE id = NEW.incident;
  UPDATE change_clock SET last = last + 1 WHERE NEW.origin IS NULL;
  UPDATE incident SET change_seq = (SELECT last FROM change_clock) WHERE id = NEW.incident AND NEW.origin IS NULL;
END;

CREATE TRIGGER milestone_stays BEFORE DELETE ON milestone BEGIN
  SELECT raise(ABORT, 'what happened stays: milestones are not deleted');
END;

CREATE TRIGGER milestone_counted_stays BEFORE UPDATE ON milestone WHEN OLD.n > 0 BEGIN
  SELECT raise(ABORT, 'what happened stays: milestones are not changed');
END;

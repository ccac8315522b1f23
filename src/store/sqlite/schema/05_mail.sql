-- The people of a case, and what they are told by mail. The bridge's own; `casebridge party` changes who they are. Instants
-- are milliseconds since 1970.

CREATE TABLE party (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  incident INTEGER NOT NULL REFERENCES incident (id),
  role     TEXT NOT NULL CHECK (role IN ('customer', 'integrator')),
  name     TEXT NOT NULL DEFAULT '',
  address  TEXT NOT NULL COLLATE NOCASE,
  language TEXT NOT NULL CHECK (language IN ('en', 'fr')),
  greeted  INTEGER NOT NULL DEFAULT 0,                        -- 1: was told that the case is open
  removed  INTEGER NOT NULL DEFAULT 0,
  by_form  INTEGER NOT NULL DEFAULT 0,                        -- 1: named on a form by somebody else; told nothing before `greeted`
  UNIQUE (incident, address)
) STRICT;
CREATE INDEX party_to_greet ON party (id) WHERE greeted = 0 AND removed = 0;

-- Who of them wrote a comment, by a mail or a page.
ALTER TABLE comment ADD COLUMN party INTEGER REFERENCES party (id);

-- What somebody reads, for the next case.
CREATE TABLE party_language (
  address  TEXT PRIMARY KEY COLLATE NOCASE,
  language TEXT NOT NULL CHECK (language IN ('en', 'fr'))
) STRICT, WITHOUT ROWID;

-- One row for each reason and person: nobody is told anything twice.
CREATE TABLE mail (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,             -- makes the Message-ID
  incident     INTEGER REFERENCES incident (id),
  reason       TEXT NOT NULL,
  notice       TEXT NOT NULL,
  about        TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(about)),
  party        INTEGER REFERENCES party (id),                -- none, as there is no incident, for an answer to a stranger
  role         TEXT NOT NULL,
  name         TEXT NOT NULL,
  address      TEXT NOT NULL COLLATE NOCASE,
  language     TEXT NOT NULL,
  state        TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'refused', 'withdrawn')),
  made_at      INTEGER NOT NULL,
  attempts     INTEGER NOT NULL DEFAULT 0,
  next_attempt INTEGER NOT NULL,
  settled_at   INTEGER,
  last_error   TEXT,
  message      TEXT                                           -- what its Message-ID was made of, once it went out
) STRICT;
CREATE UNIQUE INDEX mail_once ON mail (coalesce(incident, 0), reason, address);
CREATE INDEX mail_waiting ON mail (next_attempt, id) WHERE state = 'waiting';
CREATE INDEX mail_refused ON mail (id) WHERE state = 'refused';
CREATE INDEX mail_incident ON mail (incident, address, id);

-- How far the milestones and the comments were read for it.
CREATE TABLE mail_cursor (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  milestone INTEGER NOT NULL,
  comment   INTEGER NOT NULL
) STRICT;
INSERT INTO mail_cursor VALUES (1, 0, 0);

-- Comments that were kept back until now: they are news, though they are old.
CREATE TABLE comment_shown (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  comment INTEGER NOT NULL REFERENCES comment (id)
) STRICT;

CREATE TRIGGER comment_becomes_public AFTER UPDATE OF internal ON comment
WHEN NEW.internal < OLD.internal AND NEW.id <= (SELECT comment FROM mail_cursor) BEGIN
  INSERT INTO comment_shown (comment) VALUES (NEW.id);
END;

-- When the people of a case are to be looked after again: reminded, warned, or left alone.
CREATE TABLE reminder_due (
  incident INTEGER PRIMARY KEY REFERENCES incident (id),
  due      INTEGER NOT NULL
) STRICT;
CREATE INDEX reminder_due_next ON reminder_due (due);

-- Cases that wait for their people and that a person has to go on with.
CREATE TABLE left_to_people (
  incident INTEGER PRIMARY KEY REFERENCES incident (id),
  reason   TEXT NOT NULL
) STRICT;

-- What ends a round of reminders at the other site is looked at here too, though nobody here may be told anything.
CREATE TRIGGER round_ended AFTER INSERT ON milestone
WHEN NEW.fact ->> 'notice' IN ('input-close', 'closing-close', 'closing-answered') BEGIN
  INSERT INTO reminder_due VALUES (NEW.incident, 0) ON CONFLICT (incident) DO UPDATE SET due = 0;
END;

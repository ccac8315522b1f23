-- Mails of people that were answered with a link to a form, each once. The bridge's own.
CREATE TABLE intake (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id TEXT NOT NULL UNIQUE CHECK (length(message_id) BETWEEN 1 AND 998),  -- a digest, with what the mail says
  answerable TEXT,                                            -- the Message-ID itself, which the mail with the link names
  inbox      TEXT NOT NULL,                                   -- the directory that it came into
  at         TEXT NOT NULL,
  sender     TEXT NOT NULL COLLATE NOCASE,
  name       TEXT,                                            -- as the mail gives it
  language   TEXT,                                            -- of the mail, where it says so
  subject    TEXT NOT NULL,                                   -- what the form begins with
  text       TEXT NOT NULL,
  incident   INTEGER REFERENCES incident (id)                 -- what the form made
) STRICT;
CREATE INDEX intake_sender ON intake (sender, at);
CREATE INDEX intake_inbox ON intake (inbox, at);
CREATE UNIQUE INDEX intake_incident ON intake (incident) WHERE incident IS NOT NULL;

-- Links that were used: each works once. The bridge's own.
CREATE TABLE pass (
  tag      TEXT PRIMARY KEY CHECK (length(tag) = 32 AND tag NOT GLOB '*[^0-9a-f]*'),
  purpose  TEXT NOT NULL CHECK (purpose IN ('form', 'answer', 'confirm', 'not_solved')),
  incident INTEGER NOT NULL REFERENCES incident (id),
  at       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

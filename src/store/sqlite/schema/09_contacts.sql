-- The people whom cases are passed between (H-01 to H-04). The bridge makes them, and completes those of which it knew the
-- address alone; the names of the others it never touches. Other programs may read all of it, insert into `contact`, and
-- change names there.

CREATE TABLE contact (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  -- One for each address, so that two who ask for the same at once get the same. In small letters, as the bridge writes it.
  address    TEXT NOT NULL COLLATE NOCASE UNIQUE CHECK (length(address) BETWEEN 3 AND 320 AND address = trim(address)),
  first_name TEXT NOT NULL DEFAULT 'Pending' CHECK (length(trim(first_name)) BETWEEN 1 AND 128),
  last_name  TEXT NOT NULL DEFAULT 'CREATION' CHECK (length(trim(last_name)) BETWEEN 1 AND 128),
  phone      TEXT CHECK (length(phone) BETWEEN 1 AND 64),
  temporary  INTEGER AS (first_name = 'Pending' AND last_name = 'CREATION') STORED,
  origin     TEXT,                                            -- the peer that told the names; NULL: this site's own
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX contact_temporary ON contact (id) WHERE temporary = 1;

-- Who hands a case over, and who gets it. The names stand in one place, so all cases show the same. The bridge's own.
CREATE TABLE case_contact (
  incident INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  role     TEXT NOT NULL CHECK (role IN ('sender', 'recipient')),
  contact  INTEGER NOT NULL REFERENCES contact (id),
  PRIMARY KEY (incident, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_contact_cases ON case_contact (contact, incident);

-- What peers told of somebody whose names are known already: noted once, and not taken over. The bridge's own.
CREATE TABLE contact_difference (
  contact INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
  origin  TEXT NOT NULL,                                      -- the peer; empty for this site itself
  told    TEXT NOT NULL,
  PRIMARY KEY (contact, origin, told)
) STRICT, WITHOUT ROWID;

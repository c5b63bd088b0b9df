-- +goose Up
ALTER TABLE incidents ADD COLUMN policy        TEXT    NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN step          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN cycle         INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN muted         TEXT    NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN snoozed_until BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN assigned      TEXT    NOT NULL DEFAULT ''; -- JSON; '' for nobody
ALTER TABLE incidents ADD COLUMN responders    TEXT    NOT NULL DEFAULT ''; -- JSON; '' for nobody
ALTER TABLE incidents ADD COLUMN reopened      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN merged_into   BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN drill         INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN facts         TEXT;                        -- JSON; how the SLO stood when last asked
ALTER TABLE incidents ADD COLUMN gather_at     BIGINT  NOT NULL DEFAULT 0;  -- when somebody is to look for evidence; 0 when nobody need

CREATE INDEX incidents_gather ON incidents (gather_at) WHERE gather_at > 0;
CREATE INDEX incidents_merged ON incidents (key) WHERE merged_into > 0;

ALTER TABLE pages ADD COLUMN language    TEXT   NOT NULL DEFAULT '';
ALTER TABLE pages ADD COLUMN settles_at  BIGINT NOT NULL DEFAULT 0;  -- until when alerts that join still put it off
ALTER TABLE pages ADD COLUMN latest_at   BIGINT NOT NULL DEFAULT 0;  -- when it goes whatever is missing; 0: it waits for nothing
ALTER TABLE pages ADD COLUMN held        INTEGER NOT NULL DEFAULT 0; -- 1: the provider said when to come back
ALTER TABLE pages ADD COLUMN tried_at    BIGINT NOT NULL DEFAULT 0;  -- when it was first claimed
ALTER TABLE pages ADD COLUMN failover_at BIGINT NOT NULL DEFAULT 0;  -- when another contact gets it instead; 0: never, or done
ALTER TABLE pages ADD COLUMN bundle      TEXT   NOT NULL DEFAULT ''; -- key of the page that stands for it
ALTER TABLE pages ADD COLUMN composed    TEXT;                       -- JSON of what was first tried; NULL before and after
ALTER TABLE pages ADD COLUMN lane        TEXT   NOT NULL DEFAULT ''; -- channel and level: what is claimed together

UPDATE pages SET lane = channel || '/' || level;

-- A queued page is due at due_at; while somebody has claimed it, that is when the claim ends.
DROP INDEX pages_queued;
CREATE INDEX pages_queued ON pages (lane, due_at, at) WHERE state = 'queued';
CREATE INDEX pages_address ON pages (channel, address, due_at) WHERE state = 'queued';
CREATE INDEX pages_failover ON pages (failover_at) WHERE failover_at > 0 AND state = 'queued';
CREATE INDEX pages_recent ON pages (channel, address, settled_at) WHERE state = 'sent';
CREATE INDEX pages_dead ON pages (id) WHERE state = 'dead';
CREATE INDEX pages_bundled ON pages (bundle) WHERE state = 'bundled';

-- The provider's references to messages that it can change.
CREATE TABLE page_refs (
    incident_id BIGINT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    channel     TEXT   NOT NULL,
    address     TEXT   NOT NULL,
    ref         TEXT   NOT NULL,
    username    TEXT   NOT NULL,
    full_name   TEXT   NOT NULL,
    timezone    TEXT   NOT NULL,
    language    TEXT   NOT NULL,
    PRIMARY KEY (incident_id, channel, address)
);

-- Who began which exercise.
CREATE TABLE drills (
    incident_id BIGINT PRIMARY KEY REFERENCES incidents (id) ON DELETE CASCADE,
    actor       TEXT   NOT NULL,
    at          BIGINT NOT NULL
);

-- +goose Down
DROP TABLE drills;
DROP TABLE page_refs;
DROP INDEX pages_bundled;
DROP INDEX pages_dead;
DROP INDEX pages_recent;
DROP INDEX pages_failover;
DROP INDEX pages_address;
DROP INDEX pages_queued;
DROP INDEX incidents_merged;
DROP INDEX incidents_gather;
ALTER TABLE pages DROP COLUMN lane;
ALTER TABLE pages DROP COLUMN composed;
ALTER TABLE pages DROP COLUMN bundle;
ALTER TABLE pages DROP COLUMN failover_at;
ALTER TABLE pages DROP COLUMN tried_at;
ALTER TABLE pages DROP COLUMN held;
ALTER TABLE pages DROP COLUMN latest_at;
ALTER TABLE pages DROP COLUMN settles_at;
ALTER TABLE pages DROP COLUMN language;
ALTER TABLE incidents DROP COLUMN gather_at;
ALTER TABLE incidents DROP COLUMN facts;
ALTER TABLE incidents DROP COLUMN drill;
ALTER TABLE incidents DROP COLUMN merged_into;
ALTER TABLE incidents DROP COLUMN reopened;
ALTER TABLE incidents DROP COLUMN responders;
ALTER TABLE incidents DROP COLUMN assigned;
ALTER TABLE incidents DROP COLUMN snoozed_until;
ALTER TABLE incidents DROP COLUMN muted;
ALTER TABLE incidents DROP COLUMN cycle;
ALTER TABLE incidents DROP COLUMN step;
ALTER TABLE incidents DROP COLUMN policy;
CREATE INDEX pages_queued ON pages (channel, level, due_at) WHERE state = 'queued';

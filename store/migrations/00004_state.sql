-- +goose Up
-- Who did what. Rows are added, and removed when they are old; nothing changes them.
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     BIGINT NOT NULL,
    actor  TEXT   NOT NULL,
    via    TEXT   NOT NULL, -- ui, api, chat, file or cli
    action TEXT   NOT NULL,
    target TEXT   NOT NULL,
    detail TEXT   NOT NULL
);
CREATE INDEX audit_at ON audit (at);

-- Who takes a shift in the place of whom the schedule names.
CREATE TABLE overrides (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    schedule   TEXT   NOT NULL,
    username   TEXT   NOT NULL,
    from_at    BIGINT NOT NULL,
    until_at   BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX overrides_until ON overrides (until_at);

-- The last instant for which a job ran that is to run once, however many replicas there are.
CREATE TABLE jobs (
    name TEXT   PRIMARY KEY,
    at   BIGINT NOT NULL
);

-- Processes that share the database, by when each last showed that it lives.
CREATE TABLE replicas (
    id         TEXT   PRIMARY KEY,
    started_at BIGINT NOT NULL,
    beat_at    BIGINT NOT NULL
);
ALTER TABLE pages ADD COLUMN leased_by TEXT NOT NULL DEFAULT '';
CREATE INDEX pages_leased ON pages (leased_until) WHERE state = 'queued' AND leased_until > 0;

CREATE INDEX incidents_closed ON incidents (resolved_at) WHERE status = 'resolved';
CREATE INDEX incidents_opened ON incidents (opened_at);
CREATE INDEX pages_sent ON pages (settled_at) WHERE state = 'sent';

-- +goose Down
DROP INDEX pages_sent;
DROP INDEX incidents_opened;
DROP INDEX incidents_closed;
DROP INDEX pages_leased;
ALTER TABLE pages DROP COLUMN leased_by;
DROP TABLE replicas;
DROP TABLE jobs;
DROP TABLE overrides;
DROP TABLE audit;

-- +goose Up
-- Times are milliseconds since the Unix epoch in UTC, 0 for none.
CREATE TABLE incidents (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT    NOT NULL,
    service      TEXT    NOT NULL,
    slo          TEXT    NOT NULL,
    title        TEXT    NOT NULL,
    level        INTEGER NOT NULL,
    status       TEXT    NOT NULL,
    stale        INTEGER NOT NULL,
    since        BIGINT  NOT NULL,
    opened_at    BIGINT  NOT NULL,
    acked_at     BIGINT  NOT NULL,
    acked_by     TEXT    NOT NULL,
    resolved_at  BIGINT  NOT NULL,
    resolved_by  TEXT    NOT NULL,
    round        INTEGER NOT NULL,
    next_page_at BIGINT  NOT NULL,
    evidence     TEXT -- JSON; NULL while nobody has looked for any
);
-- One open incident a key.
CREATE UNIQUE INDEX incidents_open ON incidents (key) WHERE status <> 'resolved';
CREATE INDEX incidents_unresolved ON incidents (level, id) WHERE status <> 'resolved';
CREATE INDEX incidents_due ON incidents (next_page_at) WHERE next_page_at > 0;

CREATE TABLE alerts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    incident_id   BIGINT  NOT NULL REFERENCES incidents (id),
    fingerprint   BIGINT  NOT NULL,
    latest        INTEGER NOT NULL, -- 1: no later incident has an alert of these labels
    labels        TEXT    NOT NULL, -- JSON
    annotations   TEXT    NOT NULL, -- JSON
    generator_url TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    starts_at     BIGINT  NOT NULL,
    ends_at       BIGINT  NOT NULL,
    updated_at    BIGINT  NOT NULL
);
CREATE INDEX alerts_latest ON alerts (fingerprint) WHERE latest = 1;
CREATE INDEX alerts_incident ON alerts (incident_id);
CREATE INDEX alerts_firing ON alerts (ends_at) WHERE state = 'firing';

CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    incident_id BIGINT NOT NULL REFERENCES incidents (id),
    at          BIGINT NOT NULL,
    kind        TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    text        TEXT   NOT NULL
);
CREATE INDEX events_incident ON events (incident_id);

CREATE TABLE pages (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT    NOT NULL UNIQUE,
    incident_id  BIGINT  NOT NULL REFERENCES incidents (id),
    kind         TEXT    NOT NULL,
    round        INTEGER NOT NULL,
    level        INTEGER NOT NULL,
    username     TEXT    NOT NULL,
    full_name    TEXT    NOT NULL,
    channel      TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    timezone     TEXT    NOT NULL,
    at           BIGINT  NOT NULL, -- when it was caused
    state        TEXT    NOT NULL, -- queued, sent, dead or dropped
    attempt      INTEGER NOT NULL,
    due_at       BIGINT  NOT NULL,
    leased_until BIGINT  NOT NULL,
    settled_at   BIGINT  NOT NULL,
    reason       TEXT    NOT NULL -- of the last failure, or why it was dropped
);
CREATE INDEX pages_queued ON pages (channel, level, due_at) WHERE state = 'queued';
CREATE INDEX pages_incident ON pages (incident_id);

-- +goose Down
DROP TABLE pages;
DROP TABLE events;
DROP TABLE alerts;
DROP TABLE incidents;

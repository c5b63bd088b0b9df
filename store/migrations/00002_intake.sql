-- +goose Up
-- Many alerts of one incident are read in parts, those that fire first.
CREATE INDEX alerts_incident_state ON alerts (incident_id, state, id);
DROP INDEX alerts_incident;
-- What was resolved lately may open again.
CREATE INDEX incidents_resolved ON incidents (key, resolved_at) WHERE status = 'resolved';

CREATE TABLE silences (
    id          TEXT   PRIMARY KEY,
    matchers    TEXT   NOT NULL, -- JSON
    starts_at   BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL,
    recurrence  TEXT   NOT NULL, -- JSON, null for none
    created_by  TEXT   NOT NULL,
    comment     TEXT   NOT NULL,
    updated_at  BIGINT NOT NULL,
    annotations TEXT   NOT NULL -- JSON
);
CREATE INDEX silences_end ON silences (ends_at);

-- Alerts that inhibit others while they fire: one row for each rule whose
-- source an alert is.
CREATE TABLE inhibitors (
    key      TEXT    NOT NULL, -- of the rule and the values of its equal labels
    alert_id BIGINT  NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    target   INTEGER NOT NULL, -- 1: it is a target of the same rule too
    level    INTEGER NOT NULL,
    PRIMARY KEY (key, alert_id)
);
CREATE INDEX inhibitors_alert ON inhibitors (alert_id);

-- Incidents whose alerts are all resolved, and which wait for whether that lasts.
CREATE TABLE recoveries (
    incident_id BIGINT PRIMARY KEY REFERENCES incidents (id) ON DELETE CASCADE,
    until       BIGINT NOT NULL
);
CREATE INDEX recoveries_until ON recoveries (until);

CREATE TABLE heartbeats (
    cluster TEXT   PRIMARY KEY,
    at      BIGINT NOT NULL
);

-- Single values, such as which version of all silences this is.
CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- +goose Down
DROP TABLE marks;
DROP TABLE heartbeats;
DROP TABLE recoveries;
DROP TABLE inhibitors;
DROP TABLE silences;
DROP INDEX incidents_resolved;
CREATE INDEX alerts_incident ON alerts (incident_id);
DROP INDEX alerts_incident_state;

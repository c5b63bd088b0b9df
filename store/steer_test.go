package store

import "testing"

func TestPagesAreFoundByIncident(t *testing.T) {
	for query, want := range map[string]string{
		"UPDATE pages SET state = 'dropped' WHERE incident_id = ? AND state = 'queued'":    "UPDATE pages SET state = 'dropped' WHERE incident_id = ? AND (state || '') = 'queued'",
		"SELECT id FROM pages WHERE state IN ('queued', 'sent') AND key IN (?)":            "SELECT id FROM pages WHERE (state || '') IN ('queued', 'sent') AND key IN (?)",
		"SELECT id FROM pages p WHERE p.incident_id = ? AND p.state = 'sent'":              "SELECT id FROM pages p WHERE p.incident_id = ? AND (p.state || '') = 'sent'",
		"SELECT id FROM pages WHERE lane = ? AND state = 'queued'":                         "",
		"UPDATE pages SET reason = ? WHERE key = ? OR bundle = ? AND state = 'bundled'":    "",
		"SELECT id FROM incidents WHERE status <> 'resolved' AND key IN (?)":               "",
		"SELECT id FROM alerts WHERE incident_id = ? AND state = 'firing'":                 "",
		"INSERT INTO pages (key, state) VALUES (?, 'queued') ON CONFLICT (key) DO NOTHING": "",
		"UPDATE pages SET key = ?, state = 'queued'":                                       "",
	} {
		if want == "" {
			want = query
		}
		if got := steered(query); got != want {
			t.Errorf("%s became %s", query, got)
		}
	}
}

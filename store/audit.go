package store

import (
	"fmt"
	"time"
)

// AuditRow says who did what.
type AuditRow struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Via    string    `json:"via"`    // ui, api, chat, file or cli
	Action string    `json:"action"` // such as acknowledge
	Target string    `json:"target"` // such as incident 7
	Detail string    `json:"detail,omitempty"`
}

// maxAuditText is how many bytes of a text the audit keeps.
const maxAuditText = 4096

// Audit notes who did what. Nothing changes or removes the row before it is
// old: see Prune.
func (t *Tx) Audit(at time.Time, actor, via, action, target, detail string) error {
	args := []any{millis(at), cut(actor), cut(via), cut(action), cut(target), cut(detail)}
	if err := t.exec("INSERT INTO audit (at, actor, via, action, target, detail) VALUES (?, ?, ?, ?, ?, ?)", args...); err != nil {
		return fmt.Errorf("audit %s of %s: %w", action, target, err)
	}
	return nil
}

// cut shortens a text to what the audit keeps; half a rune that is left at
// its end is replaced as all that is not UTF-8 is.
func cut(s string) string { return s[:min(len(s), maxAuditText)] }

// AuditLog returns up to limit rows whose ID is below before, 0 for all, the
// newest first.
func (t *Tx) AuditLog(before int64, limit int) ([]AuditRow, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	return collect(t, func(r scanner, a *AuditRow) error {
		return r.Scan(&a.ID, instant{&a.At}, &a.Actor, &a.Via, &a.Action, &a.Target, &a.Detail)
	}, "SELECT id, at, actor, via, action, target, detail FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?", before, limit)
}

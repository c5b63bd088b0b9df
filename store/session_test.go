package store

import (
	"database/sql"
	"fmt"
	"testing"
)

// Queries of many forms do not fill the memory of a server.
func TestStatementsAreForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, _ dialect, db *sql.DB, c Config) {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		var kept int
		for i := range 3 * maxPrepared {
			err := s.Update(t.Context(), func(tx *Tx) error {
				got, _, err := first(tx, scanID, fmt.Sprint("SELECT ", i))
				if got != int64(i) {
					t.Errorf("SELECT %d is %d", i, got)
				}
				switch s := tx.s.(type) {
				case *liteSession:
					kept = max(kept, len(s.statements))
				case *pgSession:
					kept = max(kept, len(s.statements))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if kept > maxPrepared+10 || kept < maxPrepared/2 {
			t.Errorf("up to %d statements are kept", kept)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

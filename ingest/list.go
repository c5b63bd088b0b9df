package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/midwatch-slo/midwatch/alert"
)

// list is an array of at most alert.MaxAlerts elements. What is longer is
// refused before it is kept: of millions of empty elements each takes a few
// bytes of a body, and hundreds in memory.
type list[T any] []T

// UnmarshalJSON reads an array one element after the other, and null as none.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	start, err := d.Token()
	if err != nil || start == nil {
		return err
	}
	if start != json.Delim('[') {
		return fmt.Errorf("%.40q is no list", b)
	}
	*l = list[T]{}
	for d.More() {
		if len(*l) == alert.MaxAlerts {
			return fmt.Errorf("a list of more than %d: %w", alert.MaxAlerts, alert.ErrTooLarge)
		}
		var element T
		if err := d.Decode(&element); err != nil {
			return err
		}
		*l = append(*l, element)
	}
	return nil
}

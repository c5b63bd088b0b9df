package silence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// silenceJSON is a silence in JSON.
type silenceJSON struct {
	ID         string            `json:"id,omitempty"`
	Matchers   []string          `json:"matchers"`
	StartsAt   time.Time         `json:"starts_at,omitzero"`
	EndsAt     time.Time         `json:"ends_at,omitzero"`
	Recurrence *Recurrence       `json:"recurrence,omitempty"`
	CreatedBy  string            `json:"created_by,omitempty"`
	Comment    string            `json:"comment,omitempty"`
	UpdatedAt  time.Time         `json:"updated_at,omitzero"`
	Labels     map[string]string `json:"annotations,omitempty"`
}

// MarshalJSON writes matchers as texts.
func (s Silence) MarshalJSON() ([]byte, error) {
	return json.Marshal(silenceJSON{
		s.ID, Texts(s.Matchers), s.StartsAt, s.EndsAt, s.Recurrence, s.CreatedBy, s.Comment, s.UpdatedAt, s.Labels,
	})
}

// UnmarshalJSON reads what MarshalJSON writes, and knows no other fields. It
// does not validate the whole.
func (s *Silence) UnmarshalJSON(b []byte) error {
	var j silenceJSON
	if err := unmarshalStrict(b, &j); err != nil {
		return err
	}
	matchers, err := ParseMatchers(j.Matchers)
	if err != nil {
		return err
	}
	*s = Silence{j.ID, matchers, j.StartsAt, j.EndsAt, j.Recurrence, j.CreatedBy, j.Comment, j.UpdatedAt, j.Labels}
	return nil
}

// Parse reads the body of a request to make a silence, or to change the one
// that it names, and validates it. No start is now; by is who made it where
// the body names nobody.
func Parse(body []byte, by string, now time.Time) (Silence, error) {
	var s Silence
	if err := json.Unmarshal(body, &s); err != nil {
		return Silence{}, fmt.Errorf("read silence: %w", err)
	}
	if s.StartsAt.IsZero() {
		s.StartsAt = now
	}
	if s.CreatedBy == "" {
		s.CreatedBy = by
	}
	s.StartsAt, s.EndsAt = s.StartsAt.UTC().Truncate(time.Millisecond), s.EndsAt.UTC().Truncate(time.Millisecond)
	s.UpdatedAt = now
	if err := s.Validate(); err != nil {
		return Silence{}, fmt.Errorf("read silence: %w", err)
	}
	if !s.EndsAt.After(now) {
		return Silence{}, errors.New("read silence: its end is past")
	}
	return s, nil
}

// unmarshalStrict decodes one value and refuses fields that it does not know.
func unmarshalStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something comes after the value")
	}
	return nil
}

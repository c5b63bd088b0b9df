package web

import (
	"fmt"
	"net/http"

	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// listSilences answers all silences, the active ones first, with what they do
// now.
func (h *Handler) listSilences(w http.ResponseWriter, r *http.Request) error {
	list, err := h.allSilences(r)
	if err != nil {
		return err
	}
	return writeData(w, filled(list))
}

func (h *Handler) allSilences(r *http.Request) ([]wire.Silence, error) {
	if h.Silences == nil {
		return nil, errNoSilences
	}
	all, err := h.Silences.Silences(r.Context())
	if err != nil {
		return nil, fmt.Errorf("list silences: %w", err)
	}
	sortSilences(all, h.Now())
	var list []wire.Silence
	for _, s := range all {
		list = append(list, h.silenceState(s))
	}
	return list, nil
}

// silenceState says what a silence does now, and when that changes.
func (h *Handler) silenceState(s silence.Silence) wire.Silence {
	now := h.Now()
	out := wire.Silence{Silence: s, State: s.State(now)}
	if until, ok := s.Covers(now); ok {
		out.Silencing, out.Until = true, until
	} else if next, ok := s.Next(now); ok {
		out.Next = next
	}
	return out
}

func (h *Handler) getSilence(w http.ResponseWriter, r *http.Request) error {
	s, err := h.silence(r)
	if err != nil {
		return err
	}
	return writeData(w, h.silenceState(s))
}

// postSilence makes a silence, or changes the one that it names.
func (h *Handler) postSilence(w http.ResponseWriter, r *http.Request) error {
	id, err := h.saveSilence(r, silence.Parse)
	if err != nil {
		return err
	}
	s, err := h.Silences.Silence(r.Context(), id)
	if err != nil {
		return silenceError(id, err)
	}
	return writeData(w, h.silenceState(s))
}

func (h *Handler) deleteSilenceAPI(w http.ResponseWriter, r *http.Request) error {
	id, err := h.expireSilence(r)
	if err != nil {
		return err
	}
	return writeData(w, map[string]string{"id": id})
}

package web

import (
	"net/http"

	"github.com/midwatch-slo/midwatch/web/wire"
)

// Rules knows how far rules are in step with the SLOs.
type Rules interface {
	// RuleStatus is false where no rules are kept.
	RuleStatus() (status wire.RuleStatus, kept bool)
}

// getRuleStatus answers where rules are kept, and what clusters have loaded.
func (h *Handler) getRuleStatus(w http.ResponseWriter, _ *http.Request) error {
	if h.Rules != nil {
		if status, kept := h.Rules.RuleStatus(); kept {
			return writeData(w, status)
		}
	}
	return notFound("this Midwatch keeps no rules: its configuration has no section rules")
}

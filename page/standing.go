package page

import (
	"encoding/json"
	"math"
)

// standingJSON is a Standing in JSON, where an unknown number is null.
type standingJSON struct {
	Cluster    string   `json:"cluster"`
	ErrorRatio *float64 `json:"error_ratio"`
	BurnRate   *float64 `json:"burn_rate"`
	BudgetLeft *float64 `json:"budget_left"`
}

// MarshalJSON writes a number that is unknown (NaN) or infinite as null,
// since JSON has neither.
func (s Standing) MarshalJSON() ([]byte, error) {
	return json.Marshal(standingJSON{s.Cluster, finite(s.ErrorRatio), finite(s.BurnRate), finite(s.BudgetLeft)})
}

// UnmarshalJSON reads null as NaN.
func (s *Standing) UnmarshalJSON(b []byte) error {
	var j standingJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*s = Standing{j.Cluster, orNaN(j.ErrorRatio), orNaN(j.BurnRate), orNaN(j.BudgetLeft)}
	return nil
}

func finite(f float64) *float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return &f
}

func orNaN(f *float64) float64 {
	if f == nil {
		return math.NaN()
	}
	return *f
}

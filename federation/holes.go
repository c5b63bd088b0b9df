package federation

// whole returns the replicas in the order in which they are to be asked for
// what lies from mint to maxt (milliseconds, both included), and whether the
// first is known to have no hole in that time that another could fill. A
// cluster of one replica always is.
func (c *cluster) whole(_, _ int64) ([]*replica, bool) {
	first := int(c.preferred.Load())
	order := make([]*replica, 0, len(c.replicas))
	for i := range c.replicas {
		order = append(order, c.replicas[(first+i)%len(c.replicas)])
	}
	return order, true
}

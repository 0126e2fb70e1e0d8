package engine

// Widening tells whether somebody makes the network in double precision, or waits
// for memory to.
func (m *Model) Widening() bool { return len(m.wide) == 0 }

package nn

// Shuffled returns the layer with its weights in the order that shuffle brings n
// things in, by swapping them, and without its bias.
func (l *Linear[T]) Shuffled(shuffle func(n int, swap func(i, j int))) *Linear[T] {
	return FromWeights(l.whole.w.Shuffled(shuffle), nil)
}

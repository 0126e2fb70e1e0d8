package core

import "github.com/xai-go/xai/sdk"

// describe returns the target as methods and reports see it, with the positions
// of the input that it is read from. value is its output on the unchanged input.
func (s *session) describe(value float64) sdk.Target {
	d := s.target.describe(s.model.labels, s.model.head, value)
	if reads, err := s.model.engine.Reads(batch([]row{s.enc.row})); err == nil && len(reads) == 1 {
		d.Positions = reads[0]
	}
	return d
}

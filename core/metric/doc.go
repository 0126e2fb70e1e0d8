// Package metric measures explanations: how faithful they are to the model, how
// close to what a human marked, how they agree with each other and how sparse they
// are. It knows vectors and curves, and no model: what runs one is package core.
//
// Scores are one a unit of text, of any scale: of the measures here those that
// order units take the largest first, and of equals the one that comes first in
// the text.
package metric

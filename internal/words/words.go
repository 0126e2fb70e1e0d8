// Package words joins names for a sentence.
package words

import "strings"

// Or joins names that there is a choice of: "a", "a or b", "a, b or c". Of no name
// it is empty.
func Or(names ...string) string { return join(names, " or ") }

// And joins names that belong together: "a", "a and b", "a, b and c". Of no name it is
// empty.
func And(names ...string) string { return join(names, " and ") }

func join(names []string, last string) string {
	n := len(names) - 1
	if n < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:n], ", ") + last + names[n]
}

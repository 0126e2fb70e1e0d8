package document

import "strconv"

// The TOML library recurses into nested values, spends time quadratic in the
// parts of a dotted key, and spells every key out with all that it lies in.
// These bounds keep a hostile file from costing gigabytes and minutes.
const (
	maxDepth    = 5 // of brackets in a value
	maxKeys     = 20_000
	maxKeyBytes = 200
	maxKeyParts = 8
)

// scan returns the line of every key of a TOML document: of table headers,
// of pairs and of pairs in inline tables, in the order in which they appear.
// That is the order of toml.MetaData.Keys, which has no lines.
//
// It refuses what is nested too deep for the library. Other mistakes it leaves
// to the library, so for an invalid document the lines mean nothing.
func scan(doc []byte) ([]int, error) {
	var (
		lines []int
		open  []byte // the brackets around the current value
		line  = 1
		// key is true where the next token starts a key.
		key = true
	)
	for i := 0; i < len(doc); {
		switch c := doc[i]; c {
		case '\n':
			line++
			i++
			if len(open) == 0 {
				key = true
			}
			continue
		case ' ', '\t', '\r':
			i++
			continue
		case '#':
			for i < len(doc) && doc[i] != '\n' {
				i++
			}
			continue
		}
		if key && !(len(open) > 0 && doc[i] == '}') {
			end, parts := scanKey(doc, i)
			switch {
			case parts > maxKeyParts:
				return nil, &Error{line, "a key has " + strconv.Itoa(parts) + " parts and may have " + strconv.Itoa(maxKeyParts)}
			case end-i > maxKeyBytes:
				return nil, &Error{line, "a key has " + strconv.Itoa(end-i) + " bytes and may have " + strconv.Itoa(maxKeyBytes)}
			case len(lines) == maxKeys:
				return nil, &Error{line, "the file has more than " + strconv.Itoa(maxKeys) + " keys; split it"}
			}
			lines = append(lines, line)
			i, key = end, false
			continue
		}
		key = false
		switch c := doc[i]; c {
		case '"', '\'':
			end := scanString(doc, i)
			for ; i < end; i++ {
				if doc[i] == '\n' {
					line++
				}
			}
			continue
		case '[', '{':
			open = append(open, c)
			if len(open) > maxDepth {
				return nil, &Error{line, "a value is nested more than " + strconv.Itoa(maxDepth) + " levels deep"}
			}
			key = c == '{'
		case ']', '}':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case ',':
			key = len(open) > 0 && open[len(open)-1] == '{'
		}
		i++
	}
	return lines, nil
}

// scanKey returns the end of the key or table header that starts at i, and
// the number of its dotted parts. A key ends behind its "=", a header before
// the end of the line.
func scanKey(doc []byte, i int) (end, parts int) {
	header := doc[i] == '['
	for parts = 1; i < len(doc); {
		switch c := doc[i]; {
		case c == '\n' || c == '#':
			return i, parts
		case c == '=' && !header:
			return i + 1, parts
		case c == '"' || c == '\'':
			// A key's string ends on its line, so that no line goes uncounted.
			for i++; i < len(doc) && doc[i] != c && doc[i] != '\n'; i++ {
				if c == '"' && doc[i] == '\\' && i+1 < len(doc) && doc[i+1] != '\n' {
					i++
				}
			}
			if i < len(doc) && doc[i] == c {
				i++
			}
		default:
			if c == '.' {
				parts++
			}
			i++
		}
	}
	return i, parts
}

// scanString returns the end of the string that starts at i. One of a single
// line ends at the latest with the line.
func scanString(doc []byte, i int) int {
	c := doc[i]
	if i+2 < len(doc) && doc[i+1] == c && doc[i+2] == c {
		for i += 3; i < len(doc); i++ {
			if c == '"' && doc[i] == '\\' {
				i++
				continue
			}
			if doc[i] == c && i+2 < len(doc) && doc[i+1] == c && doc[i+2] == c {
				// Up to two more quotes belong to the text.
				end := i + 3
				for end < len(doc) && end < i+5 && doc[end] == c {
					end++
				}
				return end
			}
		}
		return len(doc)
	}
	for i++; i < len(doc) && doc[i] != '\n'; i++ {
		if c == '"' && doc[i] == '\\' && i+1 < len(doc) && doc[i+1] != '\n' {
			i++
			continue
		}
		if doc[i] == c {
			return i + 1
		}
	}
	return i
}

package abi

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
)

// VersionText is the version of the ABI as descriptions and registry files
// spell it.
var VersionText = strconv.Itoa(Major) + "." + strconv.Itoa(Minor)

// AppendDescription appends the description of a method that speaks the given
// version of the ABI, in the JSON that docs/ABI.md gives. Equal methods have
// equal bytes. A number that JSON does not have is null, which no reader
// accepts.
func AppendDescription(b []byte, info sdk.Info, version string) []byte {
	b = append(b, `{"name":`...)
	b = appendString(b, info.Name)
	b = append(b, `,"version":`...)
	b = appendString(b, info.Version)
	b = append(b, `,"summary":`...)
	b = appendString(b, info.Summary)
	b = append(b, `,"source":`...)
	b = appendString(b, info.Source)
	b = append(b, `,"abi":`...)
	b = appendString(b, version)
	b = append(b, `,"needs":`...)
	b = appendStrings(b, info.Needs)
	b = append(b, `,"params":[`...)
	for i, p := range info.Params {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendParam(b, p)
	}
	return append(b, "]}"...)
}

func appendParam(b []byte, p sdk.Param) []byte {
	b = append(b, `{"name":`...)
	b = appendString(b, p.Name)
	if len(p.Aliases) > 0 {
		b = append(b, `,"aliases":`...)
		b = appendStrings(b, p.Aliases)
	}
	b = append(b, `,"type":`...)
	b = appendString(b, string(p.Type))
	b = append(b, `,"default":`...)
	b = appendValue(b, p.Default)
	if p.Min != nil {
		b = append(b, `,"min":`...)
		b = appendNumber(b, *p.Min)
	}
	if p.Max != nil {
		b = append(b, `,"max":`...)
		b = appendNumber(b, *p.Max)
	}
	if len(p.Values) > 0 {
		b = append(b, `,"values":`...)
		b = appendStrings(b, p.Values)
	}
	b = append(b, `,"doc":`...)
	b = appendString(b, p.Doc)
	if len(p.Compat) > 0 {
		b = append(b, `,"compat":{`...)
		for i, preset := range sortedKeys(p.Compat) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, preset)
			b = append(b, ':')
			b = appendValue(b, p.Compat[preset])
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

// sortedKeys returns the keys of a few values in order.
func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		i := len(keys)
		keys = append(keys, key)
		for ; i > 0 && keys[i-1] > key; i-- {
			keys[i] = keys[i-1]
		}
		keys[i] = key
	}
	return keys
}

// appendValue appends the value of a parameter.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return appendNumber(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendString(b, v)
	}
	return append(b, "null"...)
}

// appendNumber appends the shortest digits that read back as v.
func appendNumber(b []byte, v float64) []byte {
	size := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return append(b, "null"...)
	case size != 0 && (size < 1e-6 || size >= 1e21):
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

func appendStrings[T ~string](b []byte, list []T) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, string(s))
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

// appendString appends a string of JSON. What is no UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

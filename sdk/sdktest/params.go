package sdktest

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/sdk"
)

// Params returns a value for every parameter that info declares: those given,
// read as users type them, by name or alias, and defaults for the others, which
// are those of the preset that the parameter "compat" names where it has its own.
// It is an *sdk.Error for what is not declared, of code EName, and for a value
// that its declaration does not allow, of code EInvalid.
func Params(info sdk.Info, given map[string]string) (sdk.Params, error) {
	params := make(sdk.Params, len(info.Params))
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p, ok := info.Param(name)
		if !ok {
			return nil, sdk.NewError(sdk.EName, "the method has no parameter "+strconv.Quote(name))
		}
		if _, twice := params[p.Name]; twice {
			return nil, sdk.NewError(sdk.EInvalid, "the parameter "+p.Name+" is given twice")
		}
		v, ok := parse(p, given[name])
		if !ok || !admits(p, v) {
			return nil, sdk.NewError(sdk.EInvalid, "the parameter "+p.Name+" is "+strconv.Quote(given[name])+", which its declaration does not allow")
		}
		params[p.Name] = v
	}
	preset, ok := params["compat"].(string)
	if p, declared := info.Param("compat"); declared && !ok {
		preset, _ = p.Default.(string)
	}
	for _, p := range info.Params {
		if _, ok := params[p.Name]; ok {
			continue
		}
		params[p.Name] = p.Default
		if v, ok := p.Compat[preset]; ok {
			params[p.Name] = v
		}
	}
	return params, nil
}

// parse reads a value of the parameter's type.
func parse(p sdk.Param, text string) (v any, ok bool) {
	var err error
	switch p.Type {
	case sdk.Int:
		v, err = strconv.ParseInt(text, 10, 64)
	case sdk.Float:
		v, err = strconv.ParseFloat(text, 64)
	case sdk.Bool:
		switch strings.ToLower(text) {
		case "true", "1", "yes", "on":
			v = true
		case "false", "0", "no", "off":
			v = false
		default:
			return nil, false
		}
	default:
		v = text
	}
	return v, err == nil
}

// admits reports whether a value is of the parameter's type, within its bounds
// and among its values.
func admits(p sdk.Param, v any) bool {
	within := func(x float64) bool {
		return !math.IsNaN(x) && !math.IsInf(x, 0) && (p.Min == nil || x >= *p.Min) && (p.Max == nil || x <= *p.Max)
	}
	switch v := v.(type) {
	case int64:
		return p.Type == sdk.Int && within(float64(v))
	case float64:
		return p.Type == sdk.Float && within(v)
	case bool:
		return p.Type == sdk.Bool
	case string:
		return p.Type == sdk.String || p.Type == sdk.Enum && slices.Contains(p.Values, v)
	}
	return false
}

// typed returns a value as users type it.
func typed(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case string:
		return v
	}
	return ""
}

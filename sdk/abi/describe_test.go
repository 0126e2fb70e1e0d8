package abi_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

func TestDescription(t *testing.T) {
	info := sdk.Info{
		Name: "m", Version: "1.2.3", Summary: "a \"summary\" with \\ and\tπ", Source: "nobody",
		Needs: []sdk.Need{sdk.NeedForward, sdk.NeedPatch},
		Params: []sdk.Param{
			{Name: "n", Aliases: []string{"num"}, Type: sdk.Int, Default: int64(10), Min: sdk.Bound(1), Max: sdk.Bound(1e9), Doc: "rows", Compat: map[string]any{"b": int64(2), "a": int64(1)}},
			{Name: "x", Type: sdk.Float, Default: 1e-7},
			{Name: "y", Type: sdk.Float, Default: 25.0, Max: sdk.Bound(1e21)},
			{Name: "on", Type: sdk.Bool, Default: true},
			{Name: "text", Type: sdk.String, Default: "\x00\xff"},
			{Name: "kind", Type: sdk.Enum, Default: "a", Values: []string{"a", "b"}},
		},
	}
	want := `{"name":"m","version":"1.2.3","summary":"a \"summary\" with \\ and\u0009π","source":"nobody","abi":"1.0","needs":["forward","patch"],"params":[` +
		`{"name":"n","aliases":["num"],"type":"int","default":10,"min":1,"max":1000000000,"doc":"rows","compat":{"a":1,"b":2}},` +
		`{"name":"x","type":"float","default":1e-07,"doc":""},` +
		`{"name":"y","type":"float","default":25,"max":1e+21,"doc":""},` +
		`{"name":"on","type":"bool","default":true,"doc":""},` +
		`{"name":"text","type":"string","default":"\u0000` + "\ufffd" + `","doc":""},` +
		`{"name":"kind","type":"enum","default":"a","values":["a","b"],"doc":""}]}`
	if diff := cmp.Diff(want, string(abi.AppendDescription(nil, info, abi.VersionText))); diff != "" {
		t.Error(diff)
	}
	empty := `{"name":"","version":"","summary":"","source":"","abi":"","needs":[],"params":[]}`
	if got := string(abi.AppendDescription(nil, sdk.Info{}, "")); got != empty {
		t.Errorf("an empty description is %s", got)
	}
}

// TestDescriptionReadsBack holds the writer to the standard library's reader.
func TestDescriptionReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		info := sdk.Info{Name: rapid.String().Draw(t, "name"), Summary: rapid.String().Draw(t, "summary")}
		number, text := rapid.Float64().Draw(t, "number"), rapid.String().Draw(t, "text")
		info.Params = []sdk.Param{{Name: text, Type: sdk.Float, Default: number}, {Default: text}}
		var got struct {
			Name, Summary string
			Params        []struct {
				Name    string
				Default any
			}
		}
		b := abi.AppendDescription(nil, info, "1.0")
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		read, isNumber := got.Params[0].Default.(float64)
		finite := !math.IsNaN(number) && !math.IsInf(number, 0)
		if got.Name != info.Name || got.Summary != info.Summary || got.Params[0].Name != text || got.Params[1].Default != text ||
			isNumber != finite || finite && read != number {
			t.Errorf("%+v reads back as %+v", info, got)
		}
	})
}

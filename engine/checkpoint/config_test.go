package checkpoint

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLabels(t *testing.T) {
	tests := map[string]struct {
		config string
		want   []string
	}{
		"id2label":            {`{"id2label":{"1":"POSITIVE","0":"NEGATIVE"}}`, []string{"NEGATIVE", "POSITIVE"}},
		"id2label of numbers": {`{"id2label":{"0":0,"1": 1000000 ,"2":true}}`, []string{"0", "1000000", "true"}},
		"id2label first":      {`{"num_labels":3,"id2label":{"0":"a"},"label2id":{"x":0,"y":1}}`, []string{"a"}},
		"label2id":            {`{"label2id":{"b":1,"a":0}}`, []string{"a", "b"}},
		"num_labels":          {`{"num_labels":3,"id2label":null}`, []string{"LABEL_0", "LABEL_1", "LABEL_2"}},
		"nothing":             {`{}`, []string{"LABEL_0", "LABEL_1"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := parse(t, test.config).Labels(); err != nil || !cmp.Equal(got, test.want) {
				t.Errorf("Labels() = %q, %v, want %q", got, err, test.want)
			}
		})
	}
	for name, config := range map[string]string{
		"a hole":           `{"id2label":{"0":"a","2":"b"}}`,
		"no number":        `{"id2label":{"zero":"a"}}`,
		"same number":      `{"id2label":{"0":"a","00":"b"}}`,
		"none":             `{"id2label":{}}`,
		"a list":           `{"id2label":["a"]}`,
		"null for a name":  `{"id2label":{"0":"a","1":null}}`,
		"a list of names":  `{"id2label":{"0":["a"]}}`,
		"null for a class": `{"label2id":{"a":null}}`,
		"two of one index": `{"label2id":{"a":0,"b":0}}`,
		"index of text":    `{"label2id":{"a":"0"}}`,
		"negative":         `{"num_labels":-1}`,
		"absurd":           `{"num_labels":1000000000}`,
	} {
		t.Run(name, func(t *testing.T) {
			var wrong *ConfigError
			if labels, err := parse(t, config).Labels(); !errors.As(err, &wrong) {
				t.Errorf("Labels() = %d names, %v, want a ConfigError", len(labels), err)
			}
		})
	}
}

func TestProblemType(t *testing.T) {
	for config, want := range map[string]string{
		`{}`:                    SingleLabel,
		`{"num_labels":1}`:      Regression,
		`{"problem_type":null}`: SingleLabel,
		`{"problem_type":"multi_label_classification"}`: MultiLabel,
	} {
		if got, err := parse(t, config).ProblemType(); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", config, got, err, want)
		}
	}
	var wrong *ConfigError
	if _, err := parse(t, `{"problem_type":"ranking"}`).ProblemType(); !errors.As(err, &wrong) || wrong.Key != "problem_type" {
		t.Errorf("unknown problem type: %v", err)
	}
}

func TestArchitecture(t *testing.T) {
	if got, err := parse(t, `{"architectures":["BertForSequenceClassification","Other"]}`).Architecture(); err != nil || got != "BertForSequenceClassification" {
		t.Errorf("Architecture() = %q, %v", got, err)
	}
	var wrong *ConfigError
	for _, config := range []string{`{}`, `{"architectures":null}`, `{"architectures":[]}`, `{"architectures":"Bert"}`, `{"architectures":[1]}`} {
		if _, err := parse(t, config).Architecture(); !errors.As(err, &wrong) || wrong.Key != "architectures" {
			t.Errorf("%s: %v", config, err)
		}
	}
	for _, config := range []string{`{}`, `{"model_type":3}`} {
		if _, err := parse(t, config).ModelType(); !errors.As(err, &wrong) || wrong.Key != "model_type" {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestFields(t *testing.T) {
	c := parse(t, `{"i":7,"f":1e-12,"b":true,"s":"x","n":null}`)
	f := c.Fields()
	if i, j := f.Int("i", 1, 0, 10), f.Int("none", 5, 0, 10); i != 7 || j != 5 {
		t.Errorf("integers %d, %d", i, j)
	}
	if x, y := f.Float("f", 1, 0, 1), f.Float("n", 2, 0, 1); x != 1e-12 || y != 2 {
		t.Errorf("numbers %v, %v", x, y)
	}
	if !f.Bool("b", false) || f.Bool("none", false) {
		t.Error("truth values")
	}
	if s := f.String("s", ""); s != "x" {
		t.Errorf("string %q", s)
	}
	if err := f.Err(); err != nil {
		t.Error(err)
	}
	for name, read := range map[string]func(*Fields){
		"too large":       func(f *Fields) { f.Int("i", 0, 0, 6) },
		"too small":       func(f *Fields) { f.Int("i", 0, 8, 9) },
		"no integer":      func(f *Fields) { f.Int("f", 0, 0, 1) },
		"text for number": func(f *Fields) { f.Int("s", 0, 0, 1) },
		"out of bounds":   func(f *Fields) { f.Float("i", 0, 0, 1) },
		"no truth value":  func(f *Fields) { f.Bool("i", false) },
		"no string":       func(f *Fields) { f.String("i", "") },
		"first one stays": func(f *Fields) { f.String("i", ""); f.Int("b", 0, 0, 1) },
	} {
		f := c.Fields()
		read(f)
		var wrong *ConfigError
		if !errors.As(f.Err(), &wrong) || wrong.Key == "b" {
			t.Errorf("%s: %v", name, f.Err())
		}
	}
}

func TestNull(t *testing.T) {
	f := parse(t, `{"null":null,"empty":"","zero":0}`).Fields()
	for key, want := range map[string]bool{"null": true, "empty": false, "zero": false, "absent": false} {
		if got := f.Null(key); got != want {
			t.Errorf("Null(%q) = %v", key, got)
		}
	}
}

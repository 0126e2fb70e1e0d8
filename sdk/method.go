package sdk

import "context"

// Method is an explanation method. A value may serve several explanations at
// once when it runs in process; inside a module it serves exactly one.
type Method interface {
	// Info describes the method. It must not depend on any input.
	Info() Info
	// Explain attributes r.Target to the units (or tokens) of the request. It
	// returns an *Error for conditions that the user can mend.
	Explain(ctx context.Context, m Model, r *Request) (*Explanation, error)
}

// Need is a power of the host that a method must be granted.
type Need string

// The needs that a method may declare.
const (
	NeedForward      Need = "forward"
	NeedGradients    Need = "gradients"
	NeedAttentions   Need = "attentions"
	NeedActivations  Need = "activations"
	NeedHiddenStates Need = "hidden_states"
	NeedGenerate     Need = "generate"
	NeedEmbeddings   Need = "embeddings"
	NeedTokenize     Need = "tokenize"
	NeedPatch        Need = "patch"
)

// Needs returns all needs that there are. The list is the caller's.
func Needs() []Need {
	return []Need{
		NeedForward, NeedGradients, NeedAttentions, NeedActivations, NeedHiddenStates,
		NeedGenerate, NeedEmbeddings, NeedTokenize, NeedPatch,
	}
}

// Info describes a method: its name, its needs and its parameters.
type Info struct {
	Name    string  // as users type it, for example "lime"
	Version string  // semantic version
	Summary string  // one line
	Source  string  // the paper or implementation that defines the method
	Needs   []Need  // powers that Explain uses
	Params  []Param // in the order in which they are documented
}

// Param returns the declared parameter of that name or alias.
func (i Info) Param(name string) (Param, bool) {
	for _, p := range i.Params {
		if p.Name == name {
			return p, true
		}
		for _, a := range p.Aliases {
			if a == name {
				return p, true
			}
		}
	}
	return Param{}, false
}

// ParamType is the type of a parameter's value.
type ParamType string

// The types of parameters and the Go types of their values.
const (
	Int    ParamType = "int"    // int64
	Float  ParamType = "float"  // float64
	Bool   ParamType = "bool"   // bool
	String ParamType = "string" // string
	Enum   ParamType = "enum"   // string, one of Param.Values
)

// Param declares one parameter: its type, default, bounds and documentation.
// The host validates against it before the method runs, and prints it.
type Param struct {
	Name    string
	Aliases []string // other names that people know it by
	Type    ParamType
	Default any      // int64, float64, bool or string, as Type says
	Min     *float64 // inclusive bound of Int and Float; nil where there is none
	Max     *float64
	Values  []string // of Enum
	Doc     string
	// Compat holds the defaults of presets: Compat["lime"] takes the place of
	// Default where the parameter "compat" is "lime". Nil where no preset has
	// a default of its own.
	Compat map[string]any
}

// Bound returns a pointer to v, for Param.Min and Param.Max.
func Bound(v float64) *float64 { return &v }

// Params holds a value for every declared parameter, after defaults and
// validation. The accessors panic on a name that Info does not declare with
// that type, since that is a mistake of the method's author.
type Params map[string]any

// Int returns the value of an Int parameter.
func (p Params) Int(name string) int { return int(param[int64](p, name)) }

// Float returns the value of a Float parameter.
func (p Params) Float(name string) float64 { return param[float64](p, name) }

// Bool returns the value of a Bool parameter.
func (p Params) Bool(name string) bool { return param[bool](p, name) }

// String returns the value of a String or Enum parameter.
func (p Params) String(name string) string { return param[string](p, name) }

func param[T any](p Params, name string) T {
	v, ok := p[name].(T)
	if !ok {
		panic("sdk: parameter " + name + " is not declared with the type that is asked for")
	}
	return v
}

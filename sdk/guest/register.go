package guest

import "github.com/xai-go/xai/sdk"

var methods []sdk.Method

// Register adds m to the methods of the module. It is called from init, once
// for each method, and panics on a name that is taken.
func Register(m sdk.Method) {
	name := m.Info().Name
	if find(name) != nil {
		panic("guest: method " + name + " is registered twice")
	}
	methods = append(methods, m)
}

// find returns the method of that name, nil where there is none.
func find(name string) sdk.Method {
	for _, m := range methods {
		if m.Info().Name == name {
			return m
		}
	}
	return nil
}

package wasm

// Check verifies a module as Compile does before it compiles: its sections, its
// imports and exports, and the bounds of its code, which are read and not run. What
// is wrong with the module is an *sdk.Error.
func Check(binary []byte) error {
	_, err := verify(binary)
	return err
}

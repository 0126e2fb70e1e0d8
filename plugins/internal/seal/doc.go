// Package seal writes into a built-in module what can be known of it without
// running it, and compares a committed module with its sources without
// building it.
//
// A sealed module carries two custom sections: xai.method, once for each
// method, the JSON of its sdk.Info; and xai.build, the JSON of a Build, which
// says what the module was built from and by which toolchain.
package seal

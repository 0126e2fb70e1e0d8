// Package plugins holds one explanation method in five languages. Its test runs
// all of them and compares their bits.
package plugins

// Package plugins holds one explanation method in four languages. Its test runs
// all of them and compares their bits.
package plugins

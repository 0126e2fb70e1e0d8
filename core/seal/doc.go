// Package seal writes into a module what can be known of its methods without
// running it, and reads that back.
//
// A sealed module carries custom sections at its end: xai.method, once for each
// method, the description that docs/ABI.md gives; and, where the builder wrote
// one, xai.build, the JSON of a Build. Sealing what is sealed changes nothing.
//
// The package runs nothing and trusts nothing that it reads.
package seal
